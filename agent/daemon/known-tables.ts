import type { Connection } from "./connection";
import { SetupError } from "./failure";
import type { TableName } from "./identifier";
import type { Claim } from "./sink/position";
import type { ReplicatedTable } from "./table";

/** What a name of the job means on both sides: oids, as text. Null is what there is not, or what an earlier daemon did not store. */
interface Identity {
  readonly label: string;
  readonly sourceOid: string | null;
  /** By what the publication has it. It becomes another one when the table is taken out and put back. */
  readonly publishedBy: string | null;
  readonly sinkOid: string | null;
}

/** A table that the job has copied, or has followed. */
export interface KnownTable extends Identity {
  /** The job has run without it since. */
  readonly away: boolean;
  /** It is to be copied, or was. */
  readonly wanted: boolean;
}

export interface IdentityProps {
  readonly source: Connection;
  readonly sink: Connection;
  readonly slotName: string;
  readonly publicationName: string;
  readonly names: readonly TableName[];
  readonly sinkSchema: string;
}

/** The tables that the slot's job knows. */
export async function knownTables(sink: Connection, { slotName }: Claim): Promise<KnownTable[]> {
  const { rows } = await sink.query<Record<"label" | "source" | "published" | "sink" | "away" | "wanted", string>>(
    `select table_name as label, source_oid as source, published_by as published, sink_oid as sink, away, wanted
       from holdfast.snapshot where slot_name = $1`,
    [slotName],
  );
  return rows.map(({ label, source, published, sink, away, wanted }) => ({
    label,
    sourceOid: source,
    publishedBy: published,
    sinkOid: sink,
    away: away === "t",
    wanted: wanted === "t",
  }));
}

/** A job that starts anew knows none. */
export async function forgetTables(sink: Connection, { slotName }: Claim): Promise<void> {
  await sink.query("delete from holdfast.snapshot where slot_name = $1", [slotName]);
}

/**
 * Each known table must have been followed without a gap: it is the one it was, on both sides, and the publication has it since.
 *
 * @throws SetupError with all that are not, and what to do.
 */
export async function requireFollowed(known: readonly KnownTable[], props: IdentityProps): Promise<void> {
  const present = await presentIdentities(props);
  const faults = known.flatMap((table) => {
    const now = present.find(({ label }) => label === table.label);
    const fault = now && gap(table, now, props.publicationName);
    return fault ? [`${table.label}: ${fault}`] : [];
  });
  if (faults.length === 0) return;
  throw new SetupError(
    `what changed meanwhile is missing in the sink\n  ${faults.join("\n  ")}\n` +
      "Of each, empty the sink's table and delete the row of its copy " +
      `(delete from holdfast.snapshot where slot_name = '${props.slotName}' and table_name = '...'), then start with DO_SNAPSHOT=true`,
  );
}

function gap(known: KnownTable, now: Identity, publicationName: string): string | undefined {
  const differs = (field: "sourceOid" | "publishedBy" | "sinkOid") =>
    now[field] === null || (known[field] !== null && known[field] !== now[field]);
  if (known.away) return "it was not in TABLES for a while";
  if (now.sourceOid === null) return "the source has no table of this name any more";
  if (differs("sourceOid")) return "the source's table of this name is another one than it was";
  if (differs("publishedBy")) return `publication ${publicationName} has not held it all the time`;
  if (differs("sinkOid")) return "the sink's table is not the one that was written to";
  return undefined;
}

/**
 * Enters the tables of the job, so that they are known from now on; what is known of them stays. Those that the job has no more are away.
 * To be called in the transaction of the sink in which the job starts to run with them.
 *
 * @param wanted those that are new, or were only followed, are to be copied.
 */
export async function enterTables(
  claim: Claim,
  tables: readonly ReplicatedTable[],
  wanted: boolean,
  props: IdentityProps,
): Promise<void> {
  const { sink } = props;
  const present = await presentIdentities(props);
  const entered = tables.flatMap(({ name, oid }) => {
    const now = present.find(({ label }) => label === name.label);
    return now ? [{ ...now, sourceOid: `${oid}` }] : [];
  });
  await sink.query(
    `insert into holdfast.snapshot as known (slot_name, table_name, wanted, complete, source_oid, published_by, sink_oid)
     select $1, label, $2::boolean, not $2::boolean, source_oid, published_by, sink_oid
       from unnest($3::text[], $4::oid[], $5::oid[], $6::oid[]) as entered (label, source_oid, published_by, sink_oid)
     on conflict (slot_name, table_name) do update
       set wanted = known.wanted or excluded.wanted,
           complete = known.complete and (known.wanted or not excluded.wanted),
           source_oid = coalesce(known.source_oid, excluded.source_oid),
           published_by = coalesce(known.published_by, excluded.published_by),
           sink_oid = coalesce(known.sink_oid, excluded.sink_oid)`,
    [
      claim.slotName,
      wanted,
      entered.map(({ label }) => label),
      entered.map(({ sourceOid }) => sourceOid),
      entered.map(({ publishedBy }) => publishedBy),
      entered.map(({ sinkOid }) => sinkOid),
    ],
  );
  await sink.query("update holdfast.snapshot set away = true where slot_name = $1 and table_name <> all ($2::text[])", [
    claim.slotName,
    tables.map(({ name }) => name.label),
  ]);
}

async function presentIdentities({
  source,
  sink,
  publicationName,
  names,
  sinkSchema,
}: IdentityProps): Promise<Identity[]> {
  const labels = names.map(({ label }) => label);
  const tables = names.map(({ table }) => table);
  const from = await source.query<Record<"label" | "oid" | "published", string | null>>(
    // A publication of all tables, or of schemas, has its tables by itself.
    `select label, c.oid,
            (select coalesce(r.oid, p.oid)
               from pg_publication p left join pg_publication_rel r on r.prpubid = p.oid and r.prrelid = c.oid
              where p.pubname = $1 and exists (
                select from pg_publication_tables t
                 where t.pubname = p.pubname and t.schemaname = n.nspname and t.tablename = c.relname)) as published
       from unnest($2::text[], $3::text[], $4::text[]) as name (label, schema, relation)
       join pg_namespace n on n.nspname = schema
       join pg_class c on c.relnamespace = n.oid and c.relname = relation`,
    [publicationName, labels, names.map(({ schema }) => schema), tables],
  );
  const to = await sink.query<{ name: string; oid: string }>(
    `select relname as name, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and relname = any ($2::text[])`,
    [sinkSchema, tables],
  );
  return names.map(({ label, table }) => {
    const there = from.rows.find((row) => row.label === label);
    return {
      label,
      sourceOid: there?.oid ?? null,
      publishedBy: there?.published ?? null,
      sinkOid: to.rows.find(({ name }) => name === table)?.oid ?? null,
    };
  });
}
