import { type Connection, transaction } from "./connection";
import { SetupError } from "./failure";
import { storedName, type TableName } from "./identifier";
import { type Claim, holdClaim } from "./sink/position";
import type { ReplicatedTable } from "./table";

/** For the number of each column of the source, that of the sink which has its values. Numbers are never given again. */
type ColumnNumbers = Readonly<Record<string, number>>;

/** What a name of the job means on both sides: oids, as text. Null is what there is not, or what an earlier daemon did not store. */
interface Identity {
  /** Its stored name. */
  readonly label: string;
  readonly sourceOid: string | null;
  /** By what the publication has it. It becomes another one when the table is taken out and put back. */
  readonly publishedBy: string | null;
  /** It becomes another one when what the publication publishes is altered, also if that is taken back. */
  readonly publishedAs: string | null;
  readonly sinkOid: string | null;
  readonly columns: ColumnNumbers | null;
}

interface PresentIdentity extends Identity {
  readonly columns: ColumnNumbers;
  /** All its changes are published, under its own name. */
  readonly publishedWhole: boolean;
  /** Of the columns that both sides have: the source's number, and the name. */
  readonly columnNames: ReadonlyMap<string, string>;
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
  const { rows } = await sink.query<
    Record<"label" | "source" | "published" | "version" | "sink" | "columns" | "away" | "wanted", string>
  >(
    `select table_name as label, source_oid as source, published_by as published, published_as as version, sink_oid as sink, columns, away, wanted
       from holdfast.snapshot where slot_name = $1`,
    [slotName],
  );
  return rows.map(({ label, source, published, version, sink, columns, away, wanted }) => ({
    label,
    sourceOid: source,
    publishedBy: published,
    publishedAs: version,
    sinkOid: sink,
    columns: JSON.parse(columns ?? "null"),
    away: away === "t",
    wanted: wanted === "t",
  }));
}

/** An earlier daemon kept the table `item` as `public.item` where TABLES said so. */
export async function storeOneName(sink: Connection, claim: Claim): Promise<void> {
  const { slotName } = claim;
  if (!(await knownTables(sink, claim)).some(({ label }) => label.startsWith("public."))) return;
  await transaction(sink, async () => {
    await holdClaim(sink, claim);
    await sink.query(
      `delete from holdfast.snapshot old using holdfast.snapshot now
        where old.slot_name = $1 and now.slot_name = $1 and old.away and not now.away
          and ('public.' || old.table_name = now.table_name or old.table_name = 'public.' || now.table_name)`,
      [slotName],
    );
    await sink.query(
      `update holdfast.snapshot as known set table_name = substr(table_name, 8)
        where slot_name = $1 and table_name like 'public.%' and not exists (
          select from holdfast.snapshot other where other.slot_name = $1 and 'public.' || other.table_name = known.table_name)`,
      [slotName],
    );
  });
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
  await rememberUnpublished(known, present, props);
  throw new SetupError(
    `what changed meanwhile is missing in the sink\n  ${faults.join("\n  ")}\n` +
      "Of each, empty the sink's table and delete the row of its copy " +
      `(delete from holdfast.snapshot where slot_name = '${props.slotName}' and table_name = '...'), then start with DO_SNAPSHOT=true`,
  );
}

/** What was not published is missing also after the publication is mended, by which it stays the same. */
async function rememberUnpublished(
  known: readonly KnownTable[],
  present: readonly PresentIdentity[],
  { sink, slotName }: IdentityProps,
): Promise<void> {
  const missed = present.filter(
    (now) =>
      !now.publishedWhole &&
      known.some(({ label, publishedBy }) => label === now.label && publishedBy === now.publishedBy),
  );
  // It may be seen in the middle of a transaction, of which the sink is to have nothing.
  await sink.query("rollback");
  await sink.query(
    "update holdfast.snapshot set published_by = 0 where slot_name = $1 and table_name = any ($2::text[])",
    [slotName, missed.map(({ label }) => label)],
  );
}

function gap(known: KnownTable, now: PresentIdentity, publicationName: string): string | undefined {
  const differs = (field: "sourceOid" | "publishedBy" | "publishedAs" | "sinkOid") =>
    now[field] === null || (known[field] !== null && known[field] !== now[field]);
  if (known.away) return "it was not in TABLES for a while";
  if (now.sourceOid === null) return "the source has no table of this name any more";
  if (differs("sourceOid")) return "the source's table of this name is another one than it was";
  if (differs("publishedBy")) return `publication ${publicationName} has not held it all the time`;
  if (!now.publishedWhole) return `publication ${publicationName} leaves out changes of it`;
  // Whoever restored the sink with its state sets the former alone to null.
  if (known.publishedBy !== null && differs("publishedAs")) {
    return `publication ${publicationName} was altered, and may have left out changes of it meanwhile`;
  }
  if (differs("sinkOid")) return "the sink's table is not the one that was written to";
  return known.sourceOid === null || known.sinkOid === null ? undefined : anotherColumn(known.columns ?? {}, now);
}

/** A column that was dropped and added again has another number, and the values of the former one are not its. */
function anotherColumn(known: ColumnNumbers, now: PresentIdentity): string | undefined {
  for (const [source, sink] of Object.entries(now.columns)) {
    const name = now.columnNames.get(source);
    const wrote = Object.keys(known).find((number) => known[number] === sink);
    if (wrote !== undefined && wrote !== source) return `column ${name} of the source is another one than it was`;
    if ((known[source] ?? sink) !== sink) return `column ${name} of the sink is not the one that was written to`;
  }
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
    const now = present.find(({ label }) => label === storedName(name));
    return now ? [{ ...now, sourceOid: `${oid}` }] : [];
  });
  await sink.query(
    `insert into holdfast.snapshot as known (slot_name, table_name, wanted, complete, source_oid, published_by, published_as, sink_oid, columns)
     select $1, label, $2::boolean, not $2::boolean, source_oid, published_by, published_as, sink_oid, columns
       from unnest($3::text[], $4::oid[], $5::oid[], $6::text[], $7::oid[], $8::jsonb[])
         as entered (label, source_oid, published_by, published_as, sink_oid, columns)
     on conflict (slot_name, table_name) do update
       set wanted = known.wanted or excluded.wanted,
           complete = known.complete and (known.wanted or not excluded.wanted),
           columns = case
             when known.source_oid is null or known.sink_oid is null then excluded.columns
             else coalesce(known.columns, '{}') || excluded.columns
           end,
           source_oid = coalesce(known.source_oid, excluded.source_oid),
           published_as = case when known.published_by is null then excluded.published_as
                               else coalesce(known.published_as, excluded.published_as) end,
           published_by = coalesce(known.published_by, excluded.published_by),
           sink_oid = coalesce(known.sink_oid, excluded.sink_oid)`,
    [
      claim.slotName,
      wanted,
      entered.map(({ label }) => label),
      entered.map(({ sourceOid }) => sourceOid),
      entered.map(({ publishedBy }) => publishedBy),
      entered.map(({ publishedAs }) => publishedAs),
      entered.map(({ sinkOid }) => sinkOid),
      entered.map(({ columns }) => JSON.stringify(columns)),
    ],
  );
  await sink.query("update holdfast.snapshot set away = true where slot_name = $1 and table_name <> all ($2::text[])", [
    claim.slotName,
    tables.map(({ name }) => storedName(name)),
  ]);
}

/** Of `c`, by name; those that pgoutput sends. */
const COLUMN_NUMBERS = `(
  select json_object_agg(attname, attnum) from pg_attribute
   where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated = '')`;

async function presentIdentities({
  source,
  sink,
  publicationName,
  names,
  sinkSchema,
}: IdentityProps): Promise<PresentIdentity[]> {
  const labels = names.map(storedName);
  const tables = names.map(({ table }) => table);
  const from = await source.query<
    Record<"label" | "oid" | "published" | "version" | "whole" | "columns", string | null>
  >(
    // A publication of all tables, or of schemas, has its tables by itself.
    `select label, c.oid, ${COLUMN_NUMBERS} as columns,
            case when listed or r.oid is not null then coalesce(r.oid, p.oid) end as published,
            p.xmin as version,
            listed and pubinsert and pubupdate and pubdelete and pubtruncate as whole
       from unnest($2::text[], $3::text[], $4::text[]) as name (label, schema, relation)
       join pg_namespace n on n.nspname = schema
       join pg_class c on c.relnamespace = n.oid and c.relname = relation
       left join pg_publication p on p.pubname = $1
       left join pg_publication_rel r on r.prpubid = p.oid and r.prrelid = c.oid
       cross join lateral (
         select exists (
           select from pg_publication_tables t
            where t.pubname = p.pubname and t.schemaname = n.nspname and t.tablename = c.relname) as listed) l`,
    [publicationName, labels, names.map(({ schema }) => schema), tables],
  );
  const to = await sink.query<{ name: string; oid: string; columns: string | null }>(
    `select relname as name, c.oid, ${COLUMN_NUMBERS} as columns from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and relname = any ($2::text[])`,
    [sinkSchema, tables],
  );
  return names.map((name) => {
    const label = storedName(name);
    const there = from.rows.find((row) => row.label === label);
    const here = to.rows.find((row) => row.name === name.table);
    const written = numbersOf(here?.columns);
    const shared = Object.entries(numbersOf(there?.columns)).flatMap(([column, number]) => {
      const sinkNumber = written[column];
      return sinkNumber === undefined ? [] : [{ column, number: `${number}`, sinkNumber }];
    });
    return {
      label,
      sourceOid: there?.oid ?? null,
      publishedBy: there?.published ?? null,
      publishedAs: there?.version ?? null,
      publishedWhole: there?.whole === "t",
      sinkOid: here?.oid ?? null,
      columns: Object.fromEntries(shared.map(({ number, sinkNumber }) => [number, sinkNumber])),
      columnNames: new Map(shared.map(({ number, column }) => [number, column])),
    };
  });
}

function numbersOf(columns: string | null | undefined): Readonly<Record<string, number>> {
  return JSON.parse(columns ?? "{}");
}
