import type { Log } from "../host/log";
import { abandon, type Connection, connect, transaction } from "./connection";
import { storedName } from "./identifier";
import type { Lifecycle } from "./lifecycle";
import { type Claim, holdClaim } from "./sink/position";
import { keyOf, upsertRows } from "./sink/write-rows";
import { readTable } from "./source/table-reader";
import type { ReplicatedTable } from "./table";

/** A table whose copy has not reached its end. */
interface Unfinished {
  readonly table: ReplicatedTable;
  /** The last row that is in the sink; null before the first. */
  readonly lastKey: readonly string[] | null;
  /** At least one chunk is in the sink. */
  readonly begun: boolean;
}

export interface SnapshotPlan {
  readonly sourceUrl: string;
  readonly sinkUrl: string;
  readonly claim: Claim;
  /** Exported by a transaction, or by a slot, that stays open until every reader has it. */
  readonly snapshotName: string;
  readonly chunkRows: number;
  readonly parallelTables: number;
}

/** Forgets every copy of the job, so that the next session makes them again, also of the tables that were only followed. */
export async function forgetSnapshot(sink: Connection, claim: Claim): Promise<void> {
  await transaction(sink, async () => {
    await holdClaim(sink, claim);
    await sink.query(
      `update holdfast.snapshot set chunks = 0, row_count = 0, last_key = null, complete = false, wanted = true
        where slot_name = $1`,
      [claim.slotName],
    );
  });
}

/** The tables whose copy is not complete. Tells the lifecycle what is there. */
export async function unfinishedTables(
  sink: Connection,
  claim: Claim,
  tables: readonly ReplicatedTable[],
  lifecycle: Lifecycle,
): Promise<Unfinished[]> {
  const { rows } = await sink.query<Record<"table_name" | "chunks" | "row_count" | "key" | "complete", string | null>>(
    `select table_name, chunks, row_count, to_json(last_key) as key, complete
       from holdfast.snapshot where slot_name = $1 and wanted`,
    [claim.slotName],
  );
  return rows.flatMap((row) => {
    const table = tables.find(({ name }) => storedName(name) === row.table_name);
    if (!table) return [];
    const chunks = Number(row.chunks);
    lifecycle.tableProgress.set(table.name.label, {
      chunksTotal: chunks,
      chunksDone: chunks,
      rowsSynced: Number(row.row_count),
    });
    if (row.complete === "t") return [];
    return [{ table, lastKey: row.key === null ? null : JSON.parse(row.key ?? "null"), begun: chunks > 0 }];
  });
}

/**
 * Copies tables in chunks along their primary key, all from one snapshot of the source. A chunk and how far it reaches are one transaction of
 * the sink, so that a copy goes on where it ended. Returns when all is copied, or early when the daemon is to stop or drain.
 */
export async function copyTables(
  plan: SnapshotPlan,
  unfinished: readonly Unfinished[],
  lifecycle: Lifecycle,
  log: Log,
): Promise<void> {
  const remaining = [...unfinished];
  const workers: Connection[] = [];
  let over = false;
  const open = async (url: string, settings: string[] = []) => {
    const connection = await connect(url, { settings });
    workers.push(connection);
    if (over) dropAll();
    return connection;
  };
  const copyRemaining = async () => {
    // The reader waits inside its transaction while the sink writes, or while the copy is paused.
    const source = await open(plan.sourceUrl, ["idle_in_transaction_session_timeout=0"]);
    const sink = await open(plan.sinkUrl);
    await source.query("begin transaction isolation level repeatable read, read only");
    await source.query(`set transaction snapshot '${plan.snapshotName}'`);
    for (let next = remaining.shift(); next && going(lifecycle); next = remaining.shift()) {
      const rows = await copyTable(plan, next, { source, sink, lifecycle });
      if (rows !== undefined) log.info("table copied", { table: next.table.name.label, rows });
    }
  };
  const dropAll = () => {
    over = true;
    workers.forEach(abandon);
  };
  lifecycle.stopSignal.addEventListener("abort", dropAll);
  try {
    const count = Math.min(plan.parallelTables, unfinished.length);
    await Promise.all(Array.from({ length: count }, copyRemaining));
  } finally {
    lifecycle.stopSignal.removeEventListener("abort", dropAll);
    dropAll();
  }
}

interface Ends {
  readonly source: Connection;
  readonly sink: Connection;
  readonly lifecycle: Lifecycle;
}

/** Not to stop or drain. */
export function going({ state }: Lifecycle): boolean {
  return state !== "stopped" && state !== "draining";
}

/** The number of rows in the sink, or undefined if it was told to end before the last. */
async function copyTable(
  { claim, chunkRows }: SnapshotPlan,
  { table, lastKey }: Unfinished,
  { source, sink, lifecycle }: Ends,
): Promise<number | undefined> {
  const progress = { chunksTotal: 0, chunksDone: 0, rowsSynced: 0, ...lifecycle.tableProgress.get(table.name.label) };
  lifecycle.tableProgress.set(table.name.label, progress);
  progress.chunksTotal = progress.chunksDone + (await estimateChunks(source, table, chunkRows));
  const reader = await readTable(source, table, lastKey);
  let after = lastKey;
  for (;;) {
    await lifecycle.until(() => !lifecycle.snapshotPaused || !going(lifecycle));
    if (!going(lifecycle)) return undefined;
    const { rows, isLast } = await reader.next(chunkRows);
    const last = rows.at(-1);
    if (last) after = keyOf(table, last).map((value) => value ?? "");
    await transaction(sink, async () => {
      if (lastKey === null && progress.chunksDone === 0) await sink.query(`truncate ${table.sink}`);
      await upsertRows(sink, table, rows);
      await sink.query(
        `update holdfast.snapshot
            set chunks = chunks + 1, row_count = row_count + $3, last_key = $4::text[], complete = $5
          where slot_name = $1 and table_name = $2`,
        [claim.slotName, storedName(table.name), rows.length, after, isLast],
      );
      await holdClaim(sink, claim);
    });
    progress.chunksDone += 1;
    progress.rowsSynced += rows.length;
    progress.chunksTotal = isLast ? progress.chunksDone : Math.max(progress.chunksTotal, progress.chunksDone + 1);
    if (isLast) return progress.rowsSynced;
  }
}

/** By the planner's statistics; for display. */
async function estimateChunks(source: Connection, table: ReplicatedTable, chunkRows: number): Promise<number> {
  const { rows } = await source.query<{ estimate: string }>(
    "select reltuples as estimate from pg_class where oid = $1::regclass",
    [table.source],
  );
  return Math.max(1, Math.ceil(Number(rows[0]?.estimate ?? 0) / chunkRows));
}
