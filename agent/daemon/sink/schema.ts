import type { Connection } from "../connection";
import { quoted } from "../identifier";

/** Creates the schema where it is missing: CREATE SCHEMA asks for the right to create one also where it is there. */
export async function ensureSchema(sink: Connection, name: string): Promise<void> {
  const { rowCount } = await sink.query("select from pg_namespace where nspname = $1", [name]);
  if (rowCount === 0) await sink.query(`create schema if not exists ${quoted(name)}`);
}

/** Whether a table has a column of this name. */
export async function hasColumn(sink: Connection, table: string, column: string): Promise<boolean> {
  const { rowCount } = await sink.query(
    "select from pg_attribute where attrelid = $1::regclass and attname = $2 and not attisdropped",
    [table, column],
  );
  return rowCount !== 0;
}

/** Whether there is a table of this name, `schema.table`. */
export async function hasTable(sink: Connection, table: string): Promise<boolean> {
  const { rowCount } = await sink.query("select where to_regclass($1) is not null", [table]);
  return rowCount !== 0;
}
