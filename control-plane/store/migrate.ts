import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Pool } from "pg";
import { type Queryable, transaction } from "./database";

/** Any number that no other user of the database takes. */
const MIGRATION_LOCK = 4_850_211_901;

export interface Migration {
  readonly name: string;
  readonly sql: string;
}

const checksum = (sql: string): string => createHash("sha256").update(sql).digest("hex");

/** The migrations that belong to this version, in order. */
export function migrations(): Migration[] {
  const folder = join(__dirname, "migrations");
  return readdirSync(folder)
    .filter((file) => file.endsWith(".sql"))
    .sort()
    .map((name) => ({ name, sql: readFileSync(join(folder, name), "utf8") }));
}

/**
 * Brings the schema up to date and gives the names of what was applied. All in one transaction under a lock, so that several
 * copies may start at once. Throws if an applied migration was changed or is unknown to this version.
 */
export async function migrate(pool: Pool, wanted: readonly Migration[] = migrations()): Promise<string[]> {
  return await transaction(pool, async (tx) => {
    await tx.query("select pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
    await tx.query(`create table if not exists schema_migrations (
      name text primary key, checksum text not null, applied_at timestamptz not null default now())`);
    const { rows } = await tx.query<{ name: string; checksum: string }>(
      "select name, checksum from schema_migrations order by name",
    );
    for (const applied of rows) checkApplied(applied, wanted);
    const known = new Set(rows.map(({ name }) => name));
    const missing = wanted.filter(({ name }) => !known.has(name));
    for (const migration of missing) await apply(tx, migration);
    return missing.map(({ name }) => name);
  });
}

async function apply(tx: Queryable, { name, sql }: Migration): Promise<void> {
  await tx.query(sql);
  await tx.query("insert into schema_migrations (name, checksum) values ($1, $2)", [name, checksum(sql)]);
}

function checkApplied(applied: { name: string; checksum: string }, wanted: readonly Migration[]): void {
  const migration = wanted.find(({ name }) => name === applied.name);
  if (!migration) {
    throw new Error(
      `the database holds migration ${applied.name}, which this version does not know: run a newer version`,
    );
  }
  if (checksum(migration.sql) !== applied.checksum) {
    throw new Error(`migration ${applied.name} was changed after it was applied: add a new migration instead`);
  }
}
