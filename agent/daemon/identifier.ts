/** A table of the source; `label` is what the job calls it. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
  readonly label: string;
}

/** https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS */
export function quoted(...parts: readonly string[]): string {
  return parts.map((part) => `"${part.replaceAll('"', '""')}"`).join(".");
}

/** A table's name in the sink's state: the same for `item` and `public.item`. */
export function storedName({ schema, table }: TableName): string {
  return schema === "public" ? table : `${schema}.${table}`;
}

/** Reads `table` or `schema.table`, without quotes and as PostgreSQL stores it. Undefined if it is neither. */
export function parseTableName(label: string): TableName | undefined {
  const parts = label.split(".");
  if (parts.length > 2 || parts.some((part) => !/^[^\s"'\\;\0]{1,63}$/.test(part))) return undefined;
  const [table, schema = "public"] = parts.reverse();
  return table === undefined ? undefined : { schema, table, label };
}
