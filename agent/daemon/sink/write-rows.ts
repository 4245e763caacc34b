import type { Connection } from "../connection";
import { quoted } from "../identifier";
import { keyColumns, type ReplicatedTable } from "../table";

/**
 * A row by the columns of its table, each value as PostgreSQL's text or null. Undefined is a value that was too large to be logged and
 * has not changed ("unchanged TOAST"). https://www.postgresql.org/docs/current/storage-toast.html
 */
export type Row = readonly (string | null | undefined)[];

/** The values of a row's primary key, in its order. */
export type Key = readonly (string | null | undefined)[];

/** Parameters of one statement: the protocol counts them with 16 bits. */
const MAX_PARAMETERS = 65_535;
const MAX_STATEMENT_CHARACTERS = 16 * 1024 * 1024;

export function keyOf({ key }: ReplicatedTable, row: Row): Key {
  return key.map((index) => row[index]);
}

/** Writes whole rows, in place of those with the same key. */
export async function upsertRows(sink: Connection, table: ReplicatedTable, rows: readonly Row[]): Promise<void> {
  const names = table.columns.map(({ name }) => quoted(name));
  const rest = names.filter((_, index) => !table.key.includes(index));
  const onConflict = rest.length === 0 ? "nothing" : `update set ${rest.map((n) => `${n} = excluded.${n}`).join(", ")}`;
  for (const { values, parameters } of statements(
    table.columns.map(({ type }) => type),
    rows,
  )) {
    await sink.query(
      `insert into ${table.sink} (${names.join(", ")}) overriding system value values ${values}
       on conflict (${keyColumns(table).join(", ")}) do ${onConflict}`,
      parameters,
    );
  }
}

export async function deleteRows(sink: Connection, table: ReplicatedTable, keys: readonly Key[]): Promise<void> {
  const names = keyColumns(table);
  for (const { values, parameters } of statements(typesOf(table, table.key), keys)) {
    await sink.query(
      `delete from ${table.sink} t using (values ${values}) k(${names.join(", ")}) where ${sameKey(table, "k")}`,
      parameters,
    );
  }
}

/** Changes what the rows say, keeps what they leave out, and returns the rows that are not there. */
export async function updateRows(sink: Connection, table: ReplicatedTable, rows: readonly Row[]): Promise<Row[]> {
  const missing = new Set(rows);
  for (const [present, group] of byPresentColumns(rows)) {
    const names = present.map((index) => quoted(table.columns[index]?.name ?? ""));
    const numbered = group.map((row, place) => [...present.map((index) => row[index]), `${place}`]);
    for (const { values, parameters } of statements([...typesOf(table, present), "integer"], numbered)) {
      const { rows: updated } = await sink.query<{ place: string }>(
        `update ${table.sink} t set ${names.map((name) => `${name} = v.${name}`).join(", ")}
           from (values ${values}) v(${names.join(", ")}, "place of row")
          where ${sameKey(table, "v")} returning v."place of row" as place`,
        parameters,
      );
      for (const { place } of updated) missing.delete(group[Number(place)] ?? []);
    }
  }
  return [...missing];
}

/** The row with this key, whole. */
export async function readRow(
  connection: Connection,
  side: "source" | "sink",
  table: ReplicatedTable,
  key: Key,
): Promise<Row | undefined> {
  const names = table.columns.map(({ name }) => quoted(name));
  const matches = keyColumns(table).map((name, place) => `${name} = $${place + 1}`);
  const { rows } = await connection.query<(string | null)[]>({
    text: `select ${names.join(", ")} from ${side === "source" ? table.sourceRows : table.sink} where ${matches.join(" and ")}`,
    values: [...key],
    rowMode: "array",
  });
  return rows[0];
}

function sameKey(table: ReplicatedTable, alias: string): string {
  return keyColumns(table)
    .map((name) => `t.${name} = ${alias}.${name}`)
    .join(" and ");
}

function typesOf({ columns }: ReplicatedTable, indexes: readonly number[]): string[] {
  return indexes.map((index) => columns[index]?.type ?? "text");
}

/** Rows that leave out the same columns can share a statement. */
function byPresentColumns(rows: readonly Row[]): [present: number[], rows: Row[]][] {
  const groups = new Map<string, [number[], Row[]]>();
  for (const row of rows) {
    const present = row.flatMap((value, index) => (value === undefined ? [] : index));
    const group = groups.get(present.join());
    if (group) group[1].push(row);
    else groups.set(present.join(), [present, [row]]);
  }
  return [...groups.values()];
}

/** Lists of typed values for as many statements as their size asks for. */
function* statements(
  types: readonly string[],
  rows: readonly Row[],
): Generator<{ values: string; parameters: (string | null | undefined)[] }> {
  let parameters: (string | null | undefined)[] = [];
  let tuples: string[] = [];
  let characters = 0;
  for (const row of rows) {
    tuples.push(`(${types.map((type, place) => `$${parameters.length + place + 1}::${type}`).join(", ")})`);
    parameters.push(...row);
    for (const value of row) characters += value?.length ?? 0;
    if (parameters.length + types.length > MAX_PARAMETERS || characters > MAX_STATEMENT_CHARACTERS) {
      yield { values: tuples.join(", "), parameters };
      [parameters, tuples, characters] = [[], [], 0];
    }
  }
  if (tuples.length > 0) yield { values: tuples.join(", "), parameters };
}
