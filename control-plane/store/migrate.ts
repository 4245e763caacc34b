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
 * copies may start at once. Where nothing is missing, a role that may read `schema_migrations` will do.
 *
 * @throws Error if an applied migration was changed or is unknown to this version, or if one is missing that the role may not apply.
 */
export async function migrate(pool: Pool, wanted: readonly Migration[] = migrations()): Promise<string[]> {
  return await transaction(pool, async (tx) => {
    await tx.query("select pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
    await makeTable(tx);
    const { rows } = await tx.query<{ name: string; checksum: string }>(
      "select name, checksum from schema_migrations order by name",
    );
    for (const applied of rows) checkApplied(applied, wanted);
    const known = new Set(rows.map(({ name }) => name));
    const missing = wanted.filter(({ name }) => !known.has(name));
    for (const migration of missing) await apply(tx, migration);
    return missing.map(({ name }) => name);
  }).catch((error: unknown) => {
    throw mayNot(error) ? new Error(NEEDS_OWNER, { cause: error }) : error;
  });
}

/** `create table if not exists` asks for the right to create one also where there is one. */
async function makeTable(tx: Queryable): Promise<void> {
  const { rows } = await tx.query<{ known: boolean }>("select to_regclass('schema_migrations') is not null as known");
  if (rows[0]?.known) return;
  await tx.query(
    "create table schema_migrations (name text primary key, checksum text not null, applied_at timestamptz not null default now())",
  );
}

const NEEDS_OWNER =
  "the database lacks migrations of this version, and the role of DATABASE_URL may not apply them or was granted too little: " +
  "run npm run migrate -- --grant-to ROLE with the address of the tables' owner in DATABASE_URL, then start again";

/** SQLSTATE insufficient_privilege. */
const mayNot = (error: unknown): boolean => (error as { code?: unknown }).code === "42501";

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
