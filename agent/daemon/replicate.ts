import type { Pgoutput } from "pg-logical-replication";
import type { Connection } from "./connection";
import { SchemaChangedError } from "./failure";
import type { Lifecycle } from "./lifecycle";
import { type Lsn, parseLsn } from "./lsn";
import { type LeftOutValues, NetChanges, unknownRow } from "./sink/net-changes";
import { advance, type Claim } from "./sink/position";
import type { Key, Row } from "./sink/write-rows";
import { type LastTransaction, transactionOf } from "./source/last-transaction";
import type { ReplicationStream } from "./source/stream";
import { keyNames, type ReplicatedTable, sameColumns } from "./table";

export interface ReplicateProps {
  readonly stream: ReplicationStream;
  readonly sink: Connection;
  readonly claim: Claim;
  readonly tables: readonly ReplicatedTable[];
  readonly from: Lsn;
  /** The newest transaction that is in the sink. */
  readonly last: LastTransaction | undefined;
  readonly catchUpTo: Lsn | undefined;
  readonly flush: { readonly changes: number; readonly intervalMs: number };
  readonly readSourceRow: LeftOutValues["fromSource"];
  /** Whether the source's table is as the session has read it, also after the transaction. */
  readonly isUnchanged: (table: ReplicatedTable, xid: number) => Promise<boolean>;
  /** The end of the source's log, now. */
  readonly sourceEnd: () => Promise<Lsn>;
  readonly lifecycle: Lifecycle;
}

/** A batch is written to the sink's open transaction when it holds this much, whatever its number of changes. */
const MAX_BATCH_CHARACTERS = 32 * 1024 * 1024;

/** How often the position of an idle job moves, so that the source can let go of its log. */
const IDLE_ADVANCE_MS = 10_000;

/** A draining daemon asks for the server's position this often. */
const DRAIN_POLL_MS = 100;

/**
 * Applies the stream until the daemon stops, is to copy the tables again, or is drained: all that the source had committed when drain was asked for is in the
 * sink. Whole source transactions are gathered to batches and committed with the position they end at; only then the slot may move. One that is
 * larger than a batch goes into the sink piece by piece, in one transaction of the sink.
 *
 * @throws SchemaChangedError before the first row of a table that is no longer what this session has read of it.
 * @throws SetupError if a change does not say which row it changes.
 */
export async function replicate(props: ReplicateProps): Promise<void> {
  const { stream, sink, claim, lifecycle, flush } = props;
  const byOid = new Map<number, ReplicatedTable | undefined>();
  let position = props.from;
  /** Where the batch ends, once its last transaction is whole. */
  let end: Lsn = position;
  let { last } = props;
  let reading: LastTransaction | undefined;
  let inTransaction = false;
  /** Changes of the transaction that is being read have been folded. */
  let inMidst = false;
  let sinkTransaction = false;
  let gathered = 0;
  let flushAt = Number.POSITIVE_INFINITY;
  let advancedAt = 0;
  let drainTo: Lsn | undefined;
  let quiet = true;

  const begin = async () => {
    if (!sinkTransaction) await sink.query("begin");
    sinkTransaction = true;
  };
  const changes = new NetChanges(sink, begin, {
    fromSource: props.readSourceRow,
    catchingUp: () => props.catchUpTo !== undefined && position < props.catchUpTo,
  });
  const full = () => changes.changes >= flush.changes || changes.characters >= MAX_BATCH_CHARACTERS;
  /** Only between source transactions. */
  const commit = async () => {
    if (end > position) {
      await changes.write();
      await advance(sink, claim, end, last);
      await sink.query("commit");
      sinkTransaction = false;
      position = end;
      lifecycle.confirmedLsn = position;
      lifecycle.committedChanges += gathered;
      if (gathered > 0) lifecycle.committedBatches += 1;
      advancedAt = performance.now();
      stream.acknowledge(position);
    }
    gathered = 0;
    lifecycle.pendingChanges = 0;
    flushAt = Number.POSITIVE_INFINITY;
  };
  const count = async () => {
    gathered += 1;
    inMidst = true;
    lifecycle.pendingChanges = gathered;
    if (full()) await changes.write();
  };

  const unsubscribe = lifecycle.onCommand(() => stream.wake());
  try {
    while (lifecycle.state !== "stopped") {
      if (lifecycle.snapshotRequested && !inTransaction) return await commit();
      if (lifecycle.state === "paused" && !inTransaction) {
        await commit();
        await lifecycle.until(() => lifecycle.state !== "paused");
        continue;
      }
      if (lifecycle.state === "draining" && !inTransaction) {
        drainTo ??= await props.sourceEnd();
        if (end >= drainTo) {
          await commit();
          return;
        }
        if (quiet) stream.acknowledge(position, true);
      }
      const wait = lifecycle.state === "draining" ? DRAIN_POLL_MS : flushAt - performance.now();
      const message = await stream.next(Number.isFinite(wait) ? Math.max(0, wait) : undefined);
      quiet = message === undefined;
      lifecycle.sourceLsn = stream.serverWalEnd;
      switch (message?.tag) {
        case "begin":
          inTransaction = true;
          inMidst = false;
          reading = transactionOf(message);
          if (gathered === 0) lifecycle.pendingSinceMs = Number(BigInt(message.commitTime.toString()) / 1000n);
          break;
        case "relation": {
          const table = props.tables.find(({ oid }) => oid === message.relationOid);
          if (table && !describes(message, table) && !(await props.isUnchanged(table, reading?.xid ?? 0))) {
            // The transactions before it were made when the table was as the sink's, and may not fit into it later.
            if (!inMidst) await commit();
            throw new SchemaChangedError(`${table.name.label} has changed`);
          }
          byOid.set(message.relationOid, table);
          break;
        }
        case "insert":
        case "update":
        case "delete": {
          const table = byOid.get(message.relation.relationOid);
          if (!table) break;
          await fold(changes, table, message);
          await count();
          break;
        }
        case "truncate": {
          const truncated = message.relations.flatMap(({ relationOid }) => byOid.get(relationOid) ?? []);
          await changes.truncate(truncated);
          await count();
          break;
        }
        case "commit":
          inTransaction = false;
          end = parseLsn(message.commitEndLsn ?? "0/0");
          last = reading;
          lifecycle.receivedLsn = end;
          if (flushAt === Number.POSITIVE_INFINITY) flushAt = performance.now() + flush.intervalMs;
          break;
        case "keepalive":
          if (inTransaction || message.walEnd <= end) break;
          // Everything before it was read and concerns other tables: it ends the batch, or moves an idle position.
          end = message.walEnd;
          lifecycle.receivedLsn = end;
          if (gathered === 0 && (message.urgent || performance.now() - advancedAt > IDLE_ADVANCE_MS)) await commit();
          break;
      }
      if (inTransaction) continue;
      if (sinkTransaction || full() || performance.now() >= flushAt) await commit();
    }
  } finally {
    unsubscribe();
  }
}

/**
 * Whether the log speaks of the table as the session has read it. It may speak of it as it was, long ago: then columns that are gone by now
 * are passed over, those that came later count as left out and come from the source, and values are read as the types of now.
 * A relation that logs whole rows does not say what its primary key is.
 */
function describes(relation: Pgoutput.MessageRelation, table: ReplicatedTable): boolean {
  return (
    relation.replicaIdentity === "default" &&
    relation.keyColumns.length === table.key.length &&
    logsKey(relation, table) &&
    sameColumns(table.columns, relation.columns)
  );
}

function logsKey({ keyColumns }: Pgoutput.MessageRelation, table: ReplicatedTable): boolean {
  return keyNames(table).every((name) => keyColumns.includes(name));
}

type RowMessage = Pgoutput.MessageInsert | Pgoutput.MessageUpdate | Pgoutput.MessageDelete;

async function fold(changes: NetChanges, table: ReplicatedTable, message: RowMessage): Promise<void> {
  // An update says what the row was before only where that is logged and has changed.
  if (message.tag !== "insert" && !logsKey(message.relation, table)) throw unknownRow(table);
  const names = table.columns.map(({ name }) => name);
  const keyIn = (tuple: Record<string, string | null>): Key => table.key.map((index) => tuple[names[index] ?? ""]);
  if (message.tag === "delete") return changes.remove(table, keyIn(message.key ?? message.old ?? {}));
  const row: Row = names.map((name) => message.new[name]);
  if (message.tag === "insert") return changes.put(table, row);
  const before = message.key;
  if (!before) return changes.put(table, row);
  const from = keyIn(before);
  // A value that is stored out of line is left out of the new row, and logged with the old one if that is logged whole, or if it is of the key.
  const whole = row.map((value, index) => (value === undefined ? before[names[index] ?? ""] : value));
  const to: Key = table.key.map((index) => whole[index]);
  return from.every((value, place) => value === to[place])
    ? changes.put(table, whole)
    : changes.move(table, from, whole);
}
