import { setTimeout as pause } from "node:timers/promises";
import { Client } from "pg";
import { connectionTo, openDatabase, type Queryable } from "./database";
import { migrate } from "./migrate";

/** A table that was copied: the same rows on both sides, by their checksum. */
export interface CopiedTable {
  readonly table: string;
  readonly rows: number;
  readonly checksum: string;
}

/**
 * What is copied, in the order of references. Not the pulse: the new store counts its own time, so that no lease is judged in it before
 * a whole one has passed.
 */
export const COPIED_TABLES = [
  "deployments",
  "pools",
  "datasources",
  "sessions",
  "leases",
  "tokens",
  "jobs",
  "ready_jobs",
  "job_metrics",
  "connection_tests",
  "upgrades",
  "upgrade_workers",
  "audit_log",
  "audit_heads",
] as const;

const BATCH_ROWS = 1_000;
const APPLICATION = "holdfast-copy";
const LOOKS = 20;
const LOOK_MS = 250;

/**
 * Copies a control plane's store into an empty database, in one transaction on each side, and compares every table. Sealed passwords
 * are copied as they are: the copies on the new store need the same keyring.
 *
 * @throws Error when the first database holds no store, when a copy of the control plane is connected to either, when the target holds a
 * deployment already, or when a table differs afterwards; the target is then as it was.
 */
export async function copyStore(fromUrl: string, toUrl: string): Promise<CopiedTable[]> {
  await connected(fromUrl, requireStore);
  for (const url of [fromUrl, toUrl]) await migrated(url);
  return await connected(fromUrl, async (from) =>
    connected(toUrl, async (to) => {
      await refuseUnlessIdle(from, "copied");
      await refuseUnlessIdle(to, "copied into");
      await from.query("begin isolation level repeatable read read only");
      await to.query("begin");
      const { rows } = await to.query<{ name: string }>("select name from deployments limit 1");
      if (rows[0]) throw new Error(`the target holds deployment ${rows[0].name}: name an empty database`);
      const copied: CopiedTable[] = [];
      for (const table of COPIED_TABLES) {
        await to.query(`alter table ${table} disable trigger user`);
        await copyTable(from, to, table);
        await to.query(`alter table ${table} enable trigger user`);
        copied.push(await compared(from, to, table));
      }
      await to.query("select setval(pg_get_serial_sequence('sessions', 'epoch'), max(epoch)) from sessions");
      await to.query("update pulse set up_since = now(), seen_at = now()");
      await to.query("commit");
      return copied;
    }),
  );
}

async function requireStore(db: Queryable): Promise<void> {
  const { rows } = await db.query<{ there: boolean; name: string }>(
    "select to_regclass('schema_migrations') is not null as there, current_database() as name",
  );
  if (!rows[0]?.there) throw new Error(`database ${rows[0]?.name} holds no control plane's store`);
}

async function migrated(url: string): Promise<void> {
  const pool = openDatabase(url, 1);
  try {
    await migrate(pool);
  } finally {
    await pool.end();
  }
}

/** Ends the connection, and with it whatever transaction is open. */
async function connected<T>(url: string, work: (db: Queryable) => Promise<T>): Promise<T> {
  const client = new Client(connectionTo(url, APPLICATION));
  await client.connect();
  try {
    return await work(client as Queryable);
  } finally {
    await client.end();
  }
}

/** A copy that has just ended is still seen for a moment. */
async function refuseUnlessIdle(db: Queryable, what: string): Promise<void> {
  for (let look = 0; look < LOOKS; look++) {
    const { rows } = await db.query(
      `select 1 from pg_stat_activity
       where datname = current_database() and application_name like 'holdfast%' and application_name <> '${APPLICATION}' limit 1`,
    );
    if (rows.length === 0) return;
    await pause(LOOK_MS);
  }
  throw new Error(`a copy of the control plane is connected to the store to be ${what}: stop it first`);
}

/** Rows travel as PostgreSQL's own JSON, as text: no number passes through one of JavaScript's. */
async function copyTable(from: Queryable, to: Queryable, table: string): Promise<void> {
  await from.query(`declare rows_of_${table} no scroll cursor for select to_jsonb(t)::text as row from ${table} t`);
  for (;;) {
    const { rows } = await from.query<{ row: string }>(`fetch ${BATCH_ROWS} from rows_of_${table}`);
    if (rows.length === 0) break;
    await to.query(
      `insert into ${table} overriding system value select * from jsonb_populate_recordset(null::${table}, $1::jsonb)`,
      [`[${rows.map(({ row }) => row).join(",")}]`],
    );
  }
}

async function compared(from: Queryable, to: Queryable, table: string): Promise<CopiedTable> {
  const sql = `select count(*)::int as rows, md5(coalesce(string_agg(md5(t::text), '' order by t::text collate "C"), '')) as checksum
    from ${table} t`;
  const read = async (db: Queryable) => (await db.query<{ rows: number; checksum: string }>(sql)).rows[0];
  const [before, after] = [await read(from), await read(to)];
  if (!before || before.checksum !== after?.checksum) {
    throw new Error(`table ${table} differs after it was copied: ${before?.rows} rows became ${after?.rows}`);
  }
  return { table, ...before };
}
