import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Pool } from "pg";
import { type Queryable, transaction } from "./database";

/** Any number that no other user of the database takes. */
const MIGRATION_LOCK = 4_850_211_901;

/** Who waits for a table has all others wait behind it, the heartbeats of the copies that run too: not for long, and not at once again. */
const LOCK_TIMEOUT = "1s";
const AGAIN_MS = 4_000;
const PATIENCE_MS = 600_000;

export interface Migration {
  readonly name: string;
  readonly sql: string;
}

export interface MigrateProps {
  /** @default - those of this version */
  readonly wanted?: readonly Migration[];
  /** Told why each time that a table was waited for in vain. */
  readonly waits?: (why: string) => void;
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
 * copies may start at once. Where nothing is missing, a role that may read `schema_migrations` will do. A table that another transaction
 * uses, a dump's say, is waited for: ten minutes, a second at a time.
 *
 * @throws Error if an applied migration was changed or is unknown to this version, if one is missing that the role may not apply, or
 * if a table was in use all the time.
 */
export async function migrate(
  pool: Pool,
  { wanted = migrations(), waits = () => {} }: MigrateProps = {},
): Promise<string[]> {
  // An index of a large table takes longer than what else is asked of the database.
  const patient = new Pool({ ...pool.options, max: 1, query_timeout: 0 });
  patient.on("error", () => undefined);
  const until = performance.now() + PATIENCE_MS;
  try {
    for (;;) {
      try {
        return await transaction(patient, (tx) => applyMissing(tx, wanted));
      } catch (error) {
        if (codeOf(error) === INSUFFICIENT_PRIVILEGE) throw new Error(NEEDS_OWNER, { cause: error });
        if (codeOf(error) !== LOCK_NOT_AVAILABLE) throw error;
        if (performance.now() > until) throw new Error(`${IN_USE}: end it, then start again`, { cause: error });
        waits(`${IN_USE}: the migration is tried again in ${AGAIN_MS / 1_000} s`);
      }
      await pause(AGAIN_MS);
    }
  } finally {
    await patient.end();
  }
}

async function applyMissing(tx: Queryable, wanted: readonly Migration[]): Promise<string[]> {
  await tx.query("set local statement_timeout = 0");
  await tx.query("select pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
  await tx.query(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
  await makeTable(tx);
  const { rows } = await tx.query<{ name: string; checksum: string }>(
    "select name, checksum from schema_migrations order by name",
  );
  for (const applied of rows) checkApplied(applied, wanted);
  const known = new Set(rows.map(({ name }) => name));
  const missing = wanted.filter(({ name }) => !known.has(name));
  for (const migration of missing) await apply(tx, migration);
  return missing.map(({ name }) => name);
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

const IN_USE =
  "a transaction uses a table that is to be changed, and has for longer than a second (pg_stat_activity shows it)";

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const INSUFFICIENT_PRIVILEGE = "42501";
const LOCK_NOT_AVAILABLE = "55P03";
const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

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
