import type { Connection } from "../connection";
import { COPY_AGAIN, ConnectionLostError, SetupError } from "../failure";
import { quoted, type TableName } from "../identifier";
import { formatLsn, type Lsn, parseLsn } from "../lsn";

/** Identifies the cluster, whatever its address. https://www.postgresql.org/docs/current/protocol-replication.html */
export async function systemIdentifier(source: Connection): Promise<string> {
  const { rows } = await source.query<{ id: string }>("select system_identifier as id from pg_control_system()");
  return rows[0]?.id ?? "";
}

/**
 * A standby has neither the slot nor a transaction of its own to tell what is open; after a failover, a name may lead to one for a while.
 *
 * @throws ConnectionLostError if the source is one.
 */
export async function requirePrimary(source: Connection): Promise<void> {
  const { rows } = await source.query<{ standby: string }>("select pg_is_in_recovery() as standby");
  if (rows[0]?.standby !== "t") return;
  throw new ConnectionLostError(
    "the source is a standby, which this daemon does not read: let SOURCE_URL lead to the primary",
  );
}

/** @throws SetupError if the source does not log what logical decoding needs. */
export async function requireLogicalWal(source: Connection): Promise<void> {
  const { rows } = await source.query<{ wal_level: string }>("show wal_level");
  if (rows[0]?.wal_level === "logical") return;
  throw new SetupError(
    `the source runs with wal_level = ${rows[0]?.wal_level}: set it to logical (on RDS: rds.logical_replication = 1) and restart the server`,
  );
}

/** Creates the publication, or adds to it the tables that it lacks. Never takes one away: others may read it. */
export async function ensurePublication(source: Connection, name: string, tables: readonly TableName[]): Promise<void> {
  const { rows } = await source.query<{ complete: string }>(
    "select pubinsert and pubupdate and pubdelete and pubtruncate as complete from pg_publication where pubname = $1",
    [name],
  );
  const [publication] = rows;
  const full = (list: readonly TableName[]) => list.map(({ schema, table }) => quoted(schema, table)).join(", only ");
  if (!publication) {
    await source.query(
      `create publication ${quoted(name)} for table only ${full(tables)} with (publish_via_partition_root = true)`,
    );
    return;
  }
  if (publication.complete !== "t") {
    throw new SetupError(
      `publication ${name} leaves out operations: ALTER PUBLICATION ${quoted(name)} SET (publish = 'insert, update, delete, truncate')`,
    );
  }
  await requireWholeTables(source, name, tables);
  const { rows: published } = await source.query<{ schema: string; table: string }>(
    `select schemaname as schema, tablename as table from pg_publication_tables where pubname = $1`,
    [name],
  );
  const lacking = tables.filter(
    ({ schema, table }) => !published.some((candidate) => candidate.schema === schema && candidate.table === table),
  );
  if (lacking.length > 0) await source.query(`alter publication ${quoted(name)} add table only ${full(lacking)}`);
}

/** @throws SetupError if the publication has less of a table than all its rows and columns under its own name. */
async function requireWholeTables(source: Connection, name: string, tables: readonly TableName[]): Promise<void> {
  const { rows } = await source.query<Record<"schema" | "table" | "parts" | "partitions", string>>(
    // Before PostgreSQL 15 there are no filters and lists, and no columns for them.
    `select nspname as schema, relname as table,
            coalesce(to_jsonb(r) ->> 'prqual', to_jsonb(r) ->> 'prattrs') is not null as parts,
            relkind = 'p' and not pubviaroot as partitions
       from pg_publication p
       join pg_publication_rel r on r.prpubid = p.oid
       join pg_class c on c.oid = prrelid join pg_namespace n on n.oid = relnamespace
      where pubname = $1`,
    [name],
  );
  for (const { schema, table, label } of tables) {
    const member = rows.find((row) => row.schema === schema && row.table === table);
    if (member?.parts === "t") {
      throw new SetupError(
        `publication ${name} leaves out rows or columns of ${label}; without it, the daemon adds it whole: ALTER PUBLICATION ${quoted(name)} DROP TABLE ${quoted(schema, table)}`,
      );
    }
    if (member?.partitions === "t") {
      throw new SetupError(
        `publication ${name} has the partitions of ${label} in place of it: ALTER PUBLICATION ${quoted(name)} SET (publish_via_partition_root = true)`,
      );
    }
  }
}

export interface Slot {
  /** The source keeps everything from here on. */
  readonly confirmedLsn: Lsn;
}

/** @throws SetupError if there is a slot of this name that cannot serve this job. */
export async function findSlot(source: Connection, name: string): Promise<Slot | undefined> {
  const { rows } = await source.query<Record<"plugin" | "here" | "status" | "confirmed", string | null>>(
    `select plugin, database = current_database() as here, wal_status as status, confirmed_flush_lsn as confirmed
       from pg_replication_slots where slot_name = $1`,
    [name],
  );
  const [slot] = rows;
  if (!slot) return undefined;
  if (slot.plugin !== "pgoutput" || slot.here !== "t") {
    throw new SetupError(
      `slot ${name} is not a pgoutput slot of this database: it serves something else; choose another SOURCE_SLOT_NAME`,
    );
  }
  if (slot.status === "lost" || slot.confirmed === null) {
    throw new SetupError(
      `slot ${name} has lost its log (see max_slot_wal_keep_size and idle_replication_slot_timeout): changes are gone for good. Drop the slot, ${COPY_AGAIN}`,
    );
  }
  return { confirmedLsn: parseLsn(slot.confirmed ?? "") };
}

export interface NewSlot extends Slot {
  /** Of the rows as they are exactly where the slot starts; usable while the connection lives and is left alone. */
  readonly snapshotName: string;
}

/** @param replication a walsender connection. It waits for the transactions that run on the source now. */
export async function createSlot(replication: Connection, name: string): Promise<NewSlot> {
  const { rows } = await replication.query<{ consistent_point: string; snapshot_name: string }>(
    `CREATE_REPLICATION_SLOT ${quoted(name)} LOGICAL pgoutput EXPORT_SNAPSHOT`,
  );
  const [slot] = rows;
  if (!slot) throw new SetupError(`the source did not create slot ${name}`);
  return { confirmedLsn: parseLsn(slot.consistent_point), snapshotName: slot.snapshot_name };
}

export async function dropSlot(source: Connection, name: string): Promise<void> {
  await source.query(
    "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1 and not active",
    [name],
  );
  const { rowCount } = await source.query("select from pg_replication_slots where slot_name = $1", [name]);
  if (rowCount !== 0) throw new SetupError(`slot ${name} is in use by another process and was not dropped`);
}

/**
 * The stored position and the slot must meet without a hole, and the source must not be older than the sink.
 *
 * @throws SetupError if changes between them can no longer be read, or will be taken for read.
 */
export function requireNoGap(name: string, position: Lsn, slot: Slot | undefined, walEnd: Lsn): void {
  if (slot && slot.confirmedLsn <= position && position <= walEnd) return;
  const found = !slot
    ? `slot ${name} is gone from the source: what lies between is lost to this job`
    : slot.confirmedLsn > position
      ? `slot ${name} starts at ${formatLsn(slot.confirmedLsn)}: what lies between is lost to this job`
      : `the source's log ends at ${formatLsn(walEnd)}: it is older than the sink, as after a restore or a failover that lost the end`;
  throw new SetupError(
    `the sink holds everything up to ${formatLsn(position)}, but ${found}. Drop the slot if there is one, ${COPY_AGAIN}`,
  );
}
