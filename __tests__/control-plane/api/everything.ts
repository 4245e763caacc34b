import type { Pool } from "pg";

/** All but what the control plane's own rounds write: its pulse and its duties. */
const TABLES = [
  "deployments",
  "datasources",
  "jobs",
  "ready_jobs",
  "sessions",
  "leases",
  "tokens",
  "job_metrics",
  "connection_tests",
  "pools",
  "upgrades",
  "upgrade_workers",
  "audit_log",
  "audit_heads",
];

/** All that a bad request must leave as it is: a digest of each table, or of those of its rows that name one of the ids. */
export async function digestOfAll(pool: Pool, ids: readonly string[] = [""]): Promise<Record<string, string>> {
  const digests = TABLES.map(
    (table) => `(select md5(string_agg(t::text, '|' order by t::text)) from ${table} t where t::text ~ $1) as ${table}`,
  );
  return (await pool.query(`select ${digests.join(", ")}`, [ids.join("|")])).rows[0];
}
