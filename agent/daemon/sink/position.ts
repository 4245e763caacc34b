import { randomUUID } from "node:crypto";
import { type Connection, transaction } from "../connection";
import { FencedError, SetupError } from "../failure";
import { formatLsn, type Lsn, parseLsn } from "../lsn";
import type { LastTransaction } from "../source/last-transaction";
import { ensureSchema, hasColumn, hasTable } from "./schema";

/**
 * Schema `holdfast` of the sink: how far each slot has been written, by whom, and how much of its snapshot is there. It changes only
 * together with the rows it speaks of, in their transaction.
 */
const TABLES = `
  create table holdfast.replication (
    slot_name     text primary key,
    source_system text not null,
    fence         bigint not null,
    holder        uuid not null,
    lsn           pg_lsn,
    catch_up_to   pg_lsn,
    updated_at    timestamptz not null default clock_timestamp()
  );
  comment on column holdfast.replication.fence is 'Highest fencing token that has claimed the slot';
  comment on column holdfast.replication.holder is 'The one process that may write';
  comment on column holdfast.replication.lsn is 'Every transaction that committed before it is in the sink';
  comment on column holdfast.replication.catch_up_to is 'Rows of a resumed snapshot are as new as this';
  create table holdfast.snapshot (
    slot_name  text not null references holdfast.replication,
    table_name text not null,
    chunks     bigint not null default 0,
    row_count  bigint not null default 0,
    last_key   text[],
    complete   boolean not null default false,
    primary key (slot_name, table_name)
  );
  create table holdfast.fence_log (
    id        bigint generated always as identity primary key,
    slot_name text not null,
    fence     bigint not null,
    holder    uuid not null,
    event     text not null check (event in ('claimed', 'refused')),
    lsn       pg_lsn,
    at        timestamptz not null default clock_timestamp()
  );
`;

/** What `holdfast.snapshot` did not have from the beginning. The rows of an earlier daemon are those of tables that it copied. */
const IDENTITY = `
  alter table holdfast.snapshot
    add column wanted       boolean not null default true,
    add column away         boolean not null default false,
    add column source_oid   oid,
    add column published_by oid,
    add column sink_oid     oid;
  comment on column holdfast.snapshot.wanted is 'Copied, rather than only followed';
  comment on column holdfast.snapshot.away is 'The job has run without the table since';
  comment on column holdfast.snapshot.source_oid is 'The table of the source; where null, the next start takes the one of this name';
  comment on column holdfast.snapshot.published_by is 'By what the publication has the table';
  comment on column holdfast.snapshot.sink_oid is 'The table that is written to';
`;

const COLUMNS = `
  alter table holdfast.snapshot add column columns jsonb;
  comment on column holdfast.snapshot.columns is 'For the number of each column of the source, that of the sink which has its values';
`;

const PUBLICATION = `
  alter table holdfast.snapshot add column published_as text;
  comment on column holdfast.snapshot.published_as is 'Version of the publication: another one may have left out changes';
`;

const LAST_TRANSACTION = `
  alter table holdfast.replication add column last_transaction jsonb;
  comment on column holdfast.replication.last_transaction is
    'The newest transaction that is in the sink: where its commit begins, id, microseconds of Unix time; and the position it was stored with';
`;

/** Any number: daemons that start together create the schema one after the other. */
const SCHEMA_LOCK = 704_911_837;

/** The right to write to the sink for a slot. It is lost as soon as another process claims the slot. */
export interface Claim {
  readonly slotName: string;
  readonly fence: bigint;
  readonly holder: string;
}

export interface StoredPosition {
  /** Undefined before the slot was ever read. */
  readonly lsn?: Lsn;
  readonly catchUpTo?: Lsn;
  /** Unknown where the slot is new, or an earlier daemon has moved the position. */
  readonly last?: LastTransaction;
}

/**
 * Takes the slot over from whoever had it. From the moment this commits no earlier holder can commit anything.
 *
 * @throws FencedError if a higher fence has been seen. The refusal is logged in `holdfast.fence_log`.
 * @throws SetupError if the slot's position belongs to another source.
 */
export async function claimSlot(
  sink: Connection,
  { slotName, fence, sourceSystem }: { slotName: string; fence: bigint; sourceSystem: string },
): Promise<{ claim: Claim; position: StoredPosition }> {
  await transaction(sink, async () => {
    await sink.query("select pg_advisory_xact_lock($1)", [SCHEMA_LOCK]);
    await ensureSchema(sink, "holdfast");
    // Only their owner may comment on them. The last one is there where all are.
    if (!(await hasTable(sink, "holdfast.fence_log"))) await sink.query(TABLES);
    // Not with IF NOT EXISTS: it would wait for every other job that writes a chunk.
    if (!(await hasColumn(sink, "holdfast.snapshot", "source_oid"))) await sink.query(IDENTITY);
    if (!(await hasColumn(sink, "holdfast.snapshot", "columns"))) await sink.query(COLUMNS);
    if (!(await hasColumn(sink, "holdfast.snapshot", "published_as"))) await sink.query(PUBLICATION);
    if (!(await hasColumn(sink, "holdfast.replication", "last_transaction"))) await sink.query(LAST_TRANSACTION);
  });
  // The source forgets what is committed here, so that a crash must not undo it. Stricter settings stay.
  await sink.query(
    "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'",
  );
  const claim: Claim = { slotName, fence, holder: randomUUID() };
  const position = await transaction(sink, async () => {
    const { rows } = await sink.query<StoredRow & { source_system: string }>(
      `insert into holdfast.replication as r (slot_name, source_system, fence, holder) values ($1, $2, $3, $4)
       on conflict (slot_name) do update set fence = excluded.fence, holder = excluded.holder
         where r.fence <= excluded.fence
       returning source_system, lsn, catch_up_to, last_transaction`,
      [slotName, sourceSystem, fence, claim.holder],
    );
    const [row] = rows;
    if (row && row.source_system !== sourceSystem) {
      throw new SetupError(
        `slot ${slotName} of this sink belongs to source system ${row.source_system}, and the source is ${sourceSystem}: ` +
          "choose another SOURCE_SLOT_NAME; if the source was restored from a backup, delete its rows from holdfast.snapshot and then holdfast.replication, and copy again",
      );
    }
    if (row) await logFence(sink, claim, "claimed");
    return row && stored(row);
  });
  if (!position) throw await refused(sink, claim);
  return { claim, position };
}

/**
 * Moves the position, as the last statement of the transaction that wrote what lies before it.
 *
 * @throws FencedError if another process holds the slot by now; roll back.
 */
export async function advance(sink: Connection, claim: Claim, lsn: Lsn, last?: LastTransaction): Promise<void> {
  const { rowCount } = await sink.query(
    `update holdfast.replication
        set lsn = $4, catch_up_to = case when catch_up_to > $4 then catch_up_to end, last_transaction = $5,
            updated_at = clock_timestamp()
      where slot_name = $1 and fence = $2 and holder = $3`,
    [claim.slotName, claim.fence, claim.holder, formatLsn(lsn), last ? storedTransaction(last, lsn) : null],
  );
  if (rowCount !== 1) throw taken(claim);
}

/** Holds the slot until the end of the transaction, as `advance` does, without moving the position. */
export async function holdClaim(sink: Connection, claim: Claim): Promise<void> {
  const { rowCount } = await sink.query(
    "select from holdfast.replication where slot_name = $1 and fence = $2 and holder = $3 for update",
    [claim.slotName, claim.fence, claim.holder],
  );
  if (rowCount !== 1) throw taken(claim);
}

/** From here on rows may be newer than the position, until it has passed `lsn`. */
export async function expectCatchUp(sink: Connection, claim: Claim, lsn: Lsn): Promise<void> {
  await transaction(sink, async () => {
    await holdClaim(sink, claim);
    await sink.query("update holdfast.replication set catch_up_to = greatest(catch_up_to, $2) where slot_name = $1", [
      claim.slotName,
      formatLsn(lsn),
    ]);
  });
}

/** Forgets how far the slot was read, but not its fence. */
export async function retire(sink: Connection, claim: Claim): Promise<void> {
  await transaction(sink, async () => {
    await holdClaim(sink, claim);
    await sink.query("delete from holdfast.snapshot where slot_name = $1", [claim.slotName]);
    await sink.query(
      "update holdfast.replication set lsn = null, catch_up_to = null, last_transaction = null where slot_name = $1",
      [claim.slotName],
    );
  });
}

/** Leaves a trace of a write that came too late, outside of the transaction that failed. */
export async function logRefusal(sink: Connection, claim: Claim): Promise<void> {
  await logFence(sink, claim, "refused");
}

async function refused(sink: Connection, claim: Claim): Promise<FencedError> {
  await logFence(sink, claim, "refused");
  const { rows } = await sink.query<{ fence: string }>("select fence from holdfast.replication where slot_name = $1", [
    claim.slotName,
  ]);
  return new FencedError(
    `slot ${claim.slotName} was claimed with fence ${rows[0]?.fence}, which is higher than HOLDFAST_FENCE ${claim.fence}`,
  );
}

function taken({ slotName, fence }: Claim): FencedError {
  return new FencedError(
    `slot ${slotName} was claimed by another process; what fence ${fence} had not committed is rolled back`,
  );
}

async function logFence(sink: Connection, { slotName, fence, holder }: Claim, event: string): Promise<void> {
  await sink.query(
    `insert into holdfast.fence_log (slot_name, fence, holder, event, lsn)
     select $1, $2, $3, $4, (select lsn from holdfast.replication where slot_name = $1)`,
    [slotName, fence, holder, event],
  );
}

type StoredRow = Record<"lsn" | "catch_up_to" | "last_transaction", string | null>;

function stored({ lsn, catch_up_to, last_transaction }: StoredRow): StoredPosition {
  const { position, ...last } = JSON.parse(last_transaction ?? "{}");
  return {
    ...(lsn === null ? {} : { lsn: parseLsn(lsn) }),
    ...(catch_up_to === null ? {} : { catchUpTo: parseLsn(catch_up_to) }),
    // An earlier daemon moves the position without it.
    ...(lsn === null || !position || parseLsn(position) !== parseLsn(lsn)
      ? {}
      : { last: { ...last, lsn: parseLsn(last.lsn) } }),
  };
}

function storedTransaction(last: LastTransaction, position: Lsn): string {
  return JSON.stringify({ ...last, lsn: formatLsn(last.lsn), position: formatLsn(position) });
}
