import { additionOf } from "./added-column";
import type { Connection } from "./connection";
import { SetupError } from "./failure";
import { quoted, type TableName } from "./identifier";
import { ensureSchema } from "./sink/schema";

export interface Column {
  readonly name: string;
  /** As PostgreSQL writes it in a definition: `numeric(10,2)`. */
  readonly type: string;
  /** The source's number of the type. */
  readonly typeOid: number;
  /** What the type has in parentheses, as PostgreSQL encodes it; -1 for nothing. */
  readonly typeMod: number;
  readonly notNull: boolean;
}

/** A replicated table: where it is on both sides, and what both sides agree on. */
export interface ReplicatedTable {
  readonly name: TableName;
  /** In the source. It stays when the table gets another name. */
  readonly oid: number;
  /** Quoted, for SQL. */
  readonly source: string;
  /** For FROM: without the rows of tables that inherit from it, which the log has under their own name. */
  readonly sourceRows: string;
  /** Quoted, for SQL. */
  readonly sink: string;
  readonly columns: readonly Column[];
  /** Indexes into `columns` of the primary key, in its order. */
  readonly key: readonly number[];
}

interface Found {
  readonly oid: number;
  readonly kind: string;
  /** Of the table and of its partitions, a letter each. */
  readonly replicaIdentities: string;
  readonly columns: readonly (Column & { readonly required: boolean; readonly alwaysIdentity: boolean })[];
  readonly key: readonly string[];
  readonly keyDeferrable: boolean;
  /** It, or a partition of it. */
  readonly unlogged: boolean;
}

/**
 * Compares the tables of a job with the sink: creates those that are missing there, with their columns and primary key,
 * and refuses those that could not take every row of their source.
 *
 * @throws SetupError with all differences, and the statement that removes each where there is one.
 */
export async function matchTables(
  source: Connection,
  sink: Connection,
  names: readonly TableName[],
  sinkSchema: string,
): Promise<ReplicatedTable[]> {
  const faults: string[] = [];
  const matched: ReplicatedTable[] = [];
  for (const name of names) {
    const from = await find(source, name.schema, name.table);
    const problem = from ? unreadable(from) : "does not exist in the source";
    if (!from || problem) {
      faults.push(`${name.label} ${problem}`);
      continue;
    }
    const table: ReplicatedTable = {
      name,
      oid: from.oid,
      source: quoted(name.schema, name.table),
      sourceRows: `${from.kind === "p" ? "" : "only "}${quoted(name.schema, name.table)}`,
      sink: quoted(sinkSchema, name.table),
      columns: from.columns,
      key: from.key.map((column) => from.columns.findIndex(({ name }) => name === column)),
    };
    const to = await find(sink, sinkSchema, name.table);
    if (to) {
      const found = await differences(source, table, from, to);
      faults.push(...found.map((difference) => `${name.label}: ${difference}`));
    } else if (faults.length === 0) await create(sink, table, sinkSchema);
    matched.push(table);
  }
  if (faults.length > 0) throw new SetupError(`source and sink do not fit\n  ${faults.join("\n  ")}`);
  return matched;
}

function unreadable({ kind, key, keyDeferrable, columns, replicaIdentities }: Found): string | undefined {
  if (kind !== "r" && kind !== "p") return "is not a table";
  if (key.length === 0) return "has no primary key: rows could not be told apart; add one";
  const generated = key.find((part) => !columns.some(({ name }) => name === part));
  if (generated !== undefined) {
    return `has the generated column ${generated} in its primary key, which PostgreSQL does not publish`;
  }
  // It cannot be a replica identity, and two rows may have the same key within a transaction.
  if (keyDeferrable) return "has a DEFERRABLE primary key: drop that constraint and add it without DEFERRABLE";
  // d: the primary key, f: the whole row. https://www.postgresql.org/docs/current/catalog-pg-class.html
  if (!/^[df]+$/.test(replicaIdentities)) {
    return "does not log its primary key: ALTER TABLE ... REPLICA IDENTITY DEFAULT";
  }
  return undefined;
}

async function differences(source: Connection, table: ReplicatedTable, from: Found, to: Found): Promise<string[]> {
  const found: string[] = [];
  if (to.unlogged) {
    found.push(`the sink's table is UNLOGGED, and a crash would empty it: ALTER TABLE ${table.sink} SET LOGGED`);
  }
  const spare = to.columns.filter(({ name }) => !from.columns.some((column) => column.name === name));
  for (const wanted of table.columns) {
    const { name, type } = wanted;
    const column = to.columns.find((candidate) => candidate.name === name);
    if (!column) {
      found.push(await additionOf(source, table, wanted, spare));
    } else if (column.type !== type) {
      found.push(`column ${name} is ${type} in the source and ${column.type} in the sink`);
    } else if (column.alwaysIdentity) {
      found.push(`column ${name} is GENERATED ALWAYS in the sink: make it GENERATED BY DEFAULT`);
    }
  }
  for (const { name, required } of spare) {
    if (required) {
      found.push(`column ${name} of the sink is NOT NULL without a default, and the source has no such column`);
    }
  }
  if (from.key.join() !== to.key.join()) {
    found.push(`the primary key is (${from.key.join(", ")}) in the source and (${to.key.join(", ")}) in the sink`);
  }
  return found;
}

/** What pgoutput sends of a table: no dropped and no generated columns. */
async function find(connection: Connection, schema: string, table: string): Promise<Found | undefined> {
  const relation = await connection.query<Record<"oid" | "kind" | "identities" | "unlogged", string>>(
    `select c.oid, c.relkind as kind,
            c.relreplident::text || (
              select coalesce(string_agg(distinct leaf.relreplident::text, ''), '')
                from pg_partition_tree(c.oid) p join pg_class leaf on leaf.oid = p.relid
               where p.isleaf
            ) as identities,
            c.relpersistence = 'u' or exists (
              select from pg_partition_tree(c.oid) p join pg_class leaf on leaf.oid = p.relid
               where leaf.relpersistence = 'u'
            ) as unlogged
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2`,
    [schema, table],
  );
  const [found] = relation.rows;
  if (!found) return undefined;
  const columns = await connection.query<
    Record<"name" | "type" | "oid" | "mod" | "required" | "always" | "notnull", string>
  >(
    `select attname as name, format_type(atttypid, atttypmod) as type, atttypid as oid, atttypmod as mod,
            attnotnull as notnull,
            attnotnull and not atthasdef and attidentity = '' as required, attidentity = 'a' as always
       from pg_attribute
      where attrelid = $1 and attnum > 0 and not attisdropped and attgenerated = ''
      order by attnum`,
    [found.oid],
  );
  const key = await connection.query<{ name: string; deferrable: string }>(
    `select a.attname as name, not i.indimmediate as deferrable
       from pg_index i
       cross join unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
      where i.indrelid = $1 and i.indisprimary and k.place <= i.indnkeyatts
      order by k.place`,
    [found.oid],
  );
  return {
    oid: Number(found.oid),
    kind: found.kind,
    replicaIdentities: found.identities,
    columns: columns.rows.map((row) => ({
      name: row.name,
      type: row.type,
      typeOid: Number(row.oid),
      typeMod: Number(row.mod),
      notNull: row.notnull === "t",
      required: row.required === "t",
      alwaysIdentity: row.always === "t",
    })),
    key: key.rows.map(({ name }) => name),
    keyDeferrable: key.rows.some(({ deferrable }) => deferrable === "t"),
    unlogged: found.unlogged === "t",
  };
}

/** Whether the source still has the table as it was found: columns, types, primary key, and what it logs. */
export async function isUnchanged(source: Connection, table: ReplicatedTable): Promise<boolean> {
  const now = await find(source, table.name.schema, table.name.table);
  return (
    now !== undefined &&
    !unreadable(now) &&
    now.key.join() === keyNames(table).join() &&
    sameColumns(table.columns, now.columns)
  );
}

type ColumnType = Pick<Column, "name" | "typeOid" | "typeMod">;

/** Whether both have the same columns with the same types, in whatever order. */
export function sameColumns(left: readonly ColumnType[], right: readonly ColumnType[]): boolean {
  return (
    left.length === right.length &&
    left.every(({ name, typeOid, typeMod }) => {
      const twin = right.find((candidate) => candidate.name === name);
      return twin?.typeOid === typeOid && twin.typeMod === typeMod;
    })
  );
}

async function create(sink: Connection, table: ReplicatedTable, schema: string): Promise<void> {
  const columns = table.columns.map(
    ({ name, type, notNull }) => `${quoted(name)} ${type}${notNull ? " not null" : ""}`,
  );
  await ensureSchema(sink, schema);
  await sink.query(
    `create table if not exists ${table.sink} (${columns.join(", ")}, primary key (${keyColumns(table).join(", ")}))`,
  );
}

/** The columns of the primary key. */
export function keyNames({ columns, key }: ReplicatedTable): string[] {
  return key.map((index) => columns[index]?.name ?? "");
}

/** The quoted columns of the primary key. */
export function keyColumns(table: ReplicatedTable): string[] {
  return keyNames(table).map((name) => quoted(name));
}
