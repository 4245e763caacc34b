import type { Connection } from "./connection";
import { quoted } from "./identifier";

interface TypedColumn {
  readonly name: string;
  /** As PostgreSQL writes it in a definition. */
  readonly type: string;
}

/**
 * What to do about a column that the source has and the sink lacks: the statement that adds it, and a line for each case in which that is
 * not all. A default gives the rows that are there already a value that no log has. PostgreSQL keeps it beside the table, unless it had
 * to write the table anew. https://www.postgresql.org/docs/current/catalog-pg-attribute.html
 *
 * @param table its quoted names on both sides.
 * @param spare columns of the sink that the source lacks.
 */
export async function additionOf(
  source: Connection,
  table: { readonly source: string; readonly sink: string },
  column: TypedColumn,
  spare: readonly TypedColumn[],
): Promise<string> {
  const { rows } = await source.query<{ value: string | null; filled: string }>(
    `select distinct quote_literal(array_to_string(attmissingval, '')) as value,
            attnotnull or atthasdef or typdefault is not null as filled
       from pg_attribute a join pg_class c on c.oid = attrelid join pg_type t on t.oid = atttypid
      where attname = $2 and relkind = 'r'
        and (attrelid = $1::regclass or attrelid in (select relid from pg_partition_tree($1::regclass)))`,
    [table.source, column.name],
  );
  const values = new Set(rows.flatMap(({ value }) => value ?? []));
  const [value] = values;
  const known = value !== undefined && values.size === 1;
  const lines = [
    `the sink lacks column ${column.name}: ALTER TABLE ${table.sink} ADD COLUMN ${quoted(column.name)} ${column.type}` +
      (known ? ` DEFAULT ${value}::${column.type}` : ""),
  ];
  if (!known && rows.some(({ filled }) => filled === "t")) {
    lines.push(
      "  the source may have filled it without logging that: unless an UPDATE did, copy the table again (POST /cdc/snapshot/start) after that",
    );
  }
  for (const { name, type } of spare) {
    if (type !== column.type) continue;
    lines.push(
      `  if it was ${name} before, instead of that: ALTER TABLE ${table.sink} RENAME COLUMN ${quoted(name)} TO ${quoted(column.name)}`,
    );
  }
  return lines.join("\n  ");
}
