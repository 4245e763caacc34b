import type { Pool } from "pg";
import { eventually } from "./eventually";

/** Resolves once so many statements of the database, like the one given where one is, wait for locks of others. */
export async function lockWaits(pool: Pool, statements = 1, like = "%"): Promise<void> {
  const waiting =
    "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like $1";
  await eventually(async () => (((await pool.query(waiting, [like])).rowCount ?? 0) >= statements ? true : undefined));
}
