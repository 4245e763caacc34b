import { type Log, reason } from "../host/log";
import { sleep } from "../host/waiting";
import type { DaemonConfiguration } from "./configuration";
import { abandon, type Connection, connect, transaction } from "./connection";
import { FencedError, SetupError } from "./failure";
import { storedName } from "./identifier";
import {
  enterTables,
  forgetTables,
  type IdentityProps,
  type KnownTable,
  knownTables,
  requireFollowed,
  storeOneName,
} from "./known-tables";
import type { Lifecycle } from "./lifecycle";
import { formatLsn, type Lsn, parseLsn } from "./lsn";
import { replicate } from "./replicate";
import {
  advance,
  type Claim,
  claimSlot,
  expectCatchUp,
  holdClaim,
  logRefusal,
  retire,
  type StoredPosition,
} from "./sink/position";
import { readRow } from "./sink/write-rows";
import { copyTables, forgetSnapshot, going, unfinishedTables } from "./snapshot";
import { checkedStream } from "./source/checked-stream";
import { type LastTransaction, noneSince, resumedStream } from "./source/last-transaction";
import {
  createSlot,
  dropSlot,
  ensurePublication,
  findSlot,
  requireLogicalWal,
  requireNoGap,
  requirePrimary,
  systemIdentifier,
} from "./source/slot";
import { openStream, type ReplicationStream } from "./source/stream";
import { allEnded, isVisible, openTransactions, presentMoment } from "./source/transactions";
import { isUnchanged, matchTables, type ReplicatedTable } from "./table";

const OPEN_TRANSACTIONS_POLL_MS = 200;

/** Of a table that was taken away nothing comes, not even that: it is asked for this often. */
const FOLLOWED_CHECK_MS = 5_000;

interface Session {
  readonly configuration: DaemonConfiguration;
  readonly lifecycle: Lifecycle;
  readonly log: Log;
  readonly source: Connection;
  readonly sink: Connection;
  readonly claim: Claim;
  readonly tables: readonly ReplicatedTable[];
  readonly identity: IdentityProps;
}

/**
 * One attempt at the job, from nothing but its configuration and what the sink remembers. A first start, a restart after a crash and a
 * reconnection are the same. Returns "again" if the next session shall follow at once, and "done" when the daemon was stopped or drained, or
 * the snapshot was all that was asked for.
 */
export async function runSession(
  configuration: DaemonConfiguration,
  lifecycle: Lifecycle,
  log: Log,
): Promise<"done" | "again"> {
  const open: Connection[] = [];
  const opened = async (url: string) => {
    const connection = await connect(url);
    open.push(connection);
    return connection;
  };
  const { source: from, sink: to } = configuration;
  try {
    lifecycle.enter("setup", "Connecting to source");
    const source = await opened(from.url);
    await requirePrimary(source);
    await requireLogicalWal(source);
    lifecycle.enter("setup", "Connecting to sink");
    const sink = await opened(to.url);
    lifecycle.enter("setup", "Loading checkpoint");
    const { claim, position } = await claimSlot(sink, {
      slotName: from.slotName,
      fence: configuration.fence,
      sourceSystem: await systemIdentifier(source),
    });
    await storeOneName(sink, claim);
    const identity: IdentityProps = { source, sink, ...from, names: from.tables, sinkSchema: to.schema };
    // Before what is missing on either side is made: it would hide that it was missing.
    if (position.lsn !== undefined) await requireFollowed(await knownTables(sink, claim), identity);
    lifecycle.enter("setup", "Setting up sink");
    const tables = await matchTables(source, sink, from.tables, to.schema);
    lifecycle.enter("setup", "Setting up source");
    await ensurePublication(source, from.publicationName, from.tables);
    const session: Session = { configuration, lifecycle, log, source, sink, claim, tables, identity };
    try {
      return await runClaimed(session, position);
    } catch (error) {
      if (error instanceof FencedError) await recordRefusal(configuration, claim, log);
      throw error;
    }
  } finally {
    open.forEach(abandon);
  }
}

async function runClaimed(session: Session, stored: StoredPosition): Promise<"done" | "again"> {
  const { configuration, lifecycle, sink, claim, tables } = session;
  const { source: from } = configuration;
  let position = stored.lsn;
  let last: LastTransaction | undefined;
  if (position === undefined) {
    position = await startAtSlot(session);
    last = noneSince(position);
  } else {
    last = stored.last;
    requireNoGap(from.slotName, position, await findSlot(session.source, from.slotName), await walEnd(session.source));
    await enterAddedTables(session);
  }
  lifecycle.confirmedLsn = position;
  lifecycle.receivedLsn = position;

  // Also without DO_SNAPSHOT: what an earlier process began must be whole before changes can follow.
  const resumedAt = await copyUnfinished(session);
  lifecycle.copied = (await unfinishedTables(sink, claim, tables, lifecycle)).length === 0;
  const catchUpTo = [stored.catchUpTo, resumedAt].reduce((a, b) => (a === undefined || (b && b > a) ? b : a));
  const ending = lifecycle.state === "stopped" || lifecycle.state === "draining";
  if (ending || configuration.snapshot.only) return "done";

  const known = await knownTables(sink, claim);
  const check = () => requireFollowed(known, session.identity);
  const stream = checkedStream(await resume(session, position, last), FOLLOWED_CHECK_MS, check);
  // A server that ends in order waits for who reads its log, a paused reader too, and has cut the other connections by then.
  session.source.once("error", (error) => stream.close(reason(error)));
  session.source.once("end", () => stream.close("the source closed a connection"));
  lifecycle.enter("cdc", "Replicating");
  lifecycle.errorDetail = "";
  session.log.info("replicating", { slot: from.slotName, from: formatLsn(position) });
  try {
    await replicate({
      stream,
      sink,
      claim,
      tables,
      from: position,
      last,
      catchUpTo,
      flush: configuration.flush,
      readSourceRow: (table, key) => readRow(session.source, "source", table, key),
      // What is asked before the transaction is seen says how the table was before it.
      isUnchanged: async (table, xid) => (await isVisible(session.source, xid)) && isUnchanged(session.source, table),
      sourceEnd: () => walEnd(session.source),
      lifecycle,
    });
  } finally {
    stream.close();
  }
  if (!lifecycle.snapshotRequested) return "done";
  await forgetSnapshot(sink, claim);
  lifecycle.snapshotRequested = false;
  return "again";
}

/** Reads on from the position, by way of the last transaction where the source may have lost that. */
async function resume(
  { configuration, source }: Session,
  position: Lsn,
  last: LastTransaction | undefined,
): Promise<ReplicationStream> {
  const { source: from } = configuration;
  const stream = await openStream(from.url, { ...from, from: last?.lsn ?? position });
  try {
    // Nobody but the reader moves it, and what it was told is of this log.
    const slot = await findSlot(source, from.slotName);
    if (last && last.xid !== 0 && slot && slot.confirmedLsn <= last.lsn) return resumedStream(stream, last, position);
  } catch (error) {
    stream.close();
    throw error;
  }
  stream.acknowledge(position);
  return stream;
}

/** The first time: makes the slot, or takes one that is there, and copies the tables as they are where it starts. */
async function startAtSlot(session: Session): Promise<Lsn> {
  const { configuration, lifecycle, source, sink, claim, log } = session;
  const { slotName } = configuration.source;
  if (configuration.snapshot.enabled) await requireEmpty(session, session.tables);
  const existing = await findSlot(source, slotName);
  const start = async (lsn: Lsn) => {
    await transaction(sink, async () => {
      await advance(sink, claim, lsn, noneSince(lsn));
      await forgetTables(sink, claim);
      await enterTables(claim, session.tables, configuration.snapshot.enabled, session.identity);
    });
    return lsn;
  };
  if (existing) {
    log.info("slot taken over", { slot: slotName, at: formatLsn(existing.confirmedLsn) });
    return start(existing.confirmedLsn);
  }
  const replication = await connect(configuration.source.url, { replication: true });
  const { rows } = await replication.query<{ pid: string }>("select pg_backend_pid() as pid");
  // While it waits for transactions, the server does not see that nobody is there any more, and would make the slot after all.
  const quit = () =>
    void source.query("select pg_terminate_backend($1)", [rows[0]?.pid]).catch(() => abandon(replication));
  lifecycle.stopSignal.addEventListener("abort", quit);
  try {
    const slot = await createSlot(replication, slotName);
    log.info("slot created", { slot: slotName, at: formatLsn(slot.confirmedLsn) });
    const lsn = await start(slot.confirmedLsn);
    if (configuration.snapshot.enabled) await copyFrom(session, slot.snapshotName);
    return lsn;
  } finally {
    lifecycle.stopSignal.removeEventListener("abort", quit);
    abandon(replication);
  }
}

async function enterAddedTables(session: Session): Promise<void> {
  const { configuration, sink, claim, tables } = session;
  const { enabled } = configuration.snapshot;
  const known = await knownTables(sink, claim);
  const copied = ({ name }: ReplicatedTable) => known.some(({ label, wanted }) => label === storedName(name) && wanted);
  const added = tables.filter((table) => !copied(table));
  if (enabled) await requireEmpty(session, added, known);
  await transaction(sink, async () => {
    await holdClaim(sink, claim);
    await enterTables(claim, tables, enabled, session.identity);
  });
}

/** @throws SetupError: a copy into a table that holds rows would replace some and keep others. */
async function requireEmpty(
  { sink, claim }: Session,
  tables: readonly ReplicatedTable[],
  followed: readonly KnownTable[] = [],
): Promise<void> {
  for (const table of tables) {
    const { rowCount } = await sink.query(`select from ${table.sink} limit 1`);
    if (rowCount === 0) continue;
    const name = storedName(table.name);
    if (followed.some(({ label }) => label === name)) {
      throw new SetupError(
        `DO_SNAPSHOT is true, but the sink's table ${table.sink} holds rows that this job has only followed: to copy it, empty it; to go on as it is: ` +
          `update holdfast.snapshot set wanted = true where slot_name = '${claim.slotName}' and table_name = '${name}'`,
      );
    }
    throw new SetupError(
      `DO_SNAPSHOT is true, but the sink's table ${table.sink} holds rows that this job did not write: empty it, or set DO_SNAPSHOT=false`,
    );
  }
}

/**
 * Copies what an earlier process left undone, from a snapshot of now. The result is the position from which on the rows agree with
 * the log again; undefined if nothing was to do.
 */
async function copyUnfinished(session: Session): Promise<Lsn | undefined> {
  const { configuration, lifecycle, sink, claim, tables } = session;
  const unfinished = await unfinishedTables(sink, claim, tables, lifecycle);
  if (unfinished.length === 0) return undefined;
  if (unfinished.some(({ begun }) => !begun)) await waitForOpenTransactions(session);
  if (!going(lifecycle)) return undefined;
  const exporter = await connect(configuration.source.url, { settings: ["idle_in_transaction_session_timeout=0"] });
  try {
    await exporter.query("begin transaction isolation level repeatable read, read only");
    const { rows } = await exporter.query<{ name: string; lsn: string }>(
      // Whatever the snapshot sees has been logged before this.
      "select pg_export_snapshot() as name, pg_current_wal_insert_lsn() as lsn",
    );
    const lsn = parseLsn(rows[0]?.lsn ?? "");
    await expectCatchUp(sink, claim, lsn);
    await copyFrom(session, rows[0]?.name ?? "");
    return lsn;
  } finally {
    abandon(exporter);
  }
}

/**
 * What a transaction wrote before the publication had a table is never sent, and the snapshot lacks it for as long as the transaction is open.
 * So a table's first snapshot is later than all that were open. Ends early when the daemon is to stop or drain.
 */
async function waitForOpenTransactions({ lifecycle, source, log }: Session): Promise<void> {
  lifecycle.enter("snapshot", "Waiting for open transactions of the source");
  const moment = await presentMoment(source);
  if (await allEnded(source, moment)) return;
  lifecycle.errorDetail = "";
  log.info("the copy waits for transactions of the source", { transactions: await openTransactions(source, moment) });
  do {
    await sleep(OPEN_TRANSACTIONS_POLL_MS, lifecycle.stopSignal);
    await lifecycle.until(() => !lifecycle.snapshotPaused || !going(lifecycle));
  } while (going(lifecycle) && !(await allEnded(source, moment)));
}

async function copyFrom(session: Session, snapshotName: string): Promise<void> {
  const { configuration, lifecycle, sink, claim, tables, log } = session;
  const { chunkRows, parallelTables } = configuration.snapshot;
  lifecycle.enter("snapshot", "Running snapshot");
  lifecycle.errorDetail = "";
  await copyTables(
    {
      sourceUrl: configuration.source.url,
      sinkUrl: configuration.sink.url,
      claim,
      snapshotName,
      chunkRows,
      parallelTables,
    },
    await unfinishedTables(sink, claim, tables, lifecycle),
    lifecycle,
    log,
  );
}

async function walEnd(source: Connection): Promise<Lsn> {
  const { rows } = await source.query<{ lsn: string }>("select pg_current_wal_lsn() as lsn");
  return parseLsn(rows[0]?.lsn ?? "");
}

async function recordRefusal({ sink }: DaemonConfiguration, claim: Claim, log: Log): Promise<void> {
  try {
    const connection = await connect(sink.url);
    await logRefusal(connection, claim).finally(() => abandon(connection));
  } catch (error) {
    log.warn("the refusal is not in holdfast.fence_log", { reason: reason(error) });
  }
}

/**
 * Ends the job for good: the source keeps nothing for it any more, and the sink's rows stay. The slot goes also where the sink cannot be
 * reached, but not where another daemon has the job by now.
 */
export async function removeSlot(configuration: DaemonConfiguration): Promise<void> {
  const { slotName } = configuration.source;
  const open: Connection[] = [];
  try {
    const source = await connect(configuration.source.url);
    open.push(source);
    const claimed = async () => {
      const sink = await connect(configuration.sink.url);
      open.push(sink);
      const sourceSystem = await systemIdentifier(source);
      return { sink, ...(await claimSlot(sink, { slotName, fence: configuration.fence, sourceSystem })) };
    };
    const [outcome] = await Promise.allSettled([claimed()]);
    if (outcome.status === "rejected" && outcome.reason instanceof FencedError) throw outcome.reason;
    await dropSlot(source, slotName);
    if (outcome.status === "rejected") throw outcome.reason;
    await retire(outcome.value.sink, outcome.value.claim);
  } finally {
    open.forEach(abandon);
  }
}
