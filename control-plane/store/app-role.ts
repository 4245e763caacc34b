/** What a role needs to run the control plane on tables that it does not own. */
import { escapeIdentifier } from "pg";
import type { Queryable } from "./database";

/** Written by the control plane itself. */
const WRITTEN = [
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
  "duties",
  "pulse",
];

/** Written by functions that run with the rights of their owner, or by migrations. */
const READ = ["audit_log", "audit_heads", "schema_migrations"];

const FUNCTIONS = ["add_audit_entries(audit_log[])", "delete_past_audit_entries(uuid, integer, integer)"];

/** The statements that let a role run the control plane, and neither change nor delete what stands in the audit log. */
export function grantsTo(role: string, schema: string): string[] {
  const to = escapeIdentifier(role);
  return [
    `grant usage on schema ${escapeIdentifier(schema)} to ${to}`,
    `grant select, insert, update, delete on ${WRITTEN.join(", ")} to ${to}`,
    `grant select on ${READ.join(", ")} to ${to}`,
    `grant execute on function ${FUNCTIONS.join(", ")} to ${to}`,
  ];
}

/**
 * Grants a role what it needs, as the owner of the tables, and gives the statements. To be done after each migration, which may bring tables.
 *
 * @throws Error of the database's where there is no such role, or who asks does not own the tables.
 */
export async function grantTo(db: Queryable, role: string): Promise<string[]> {
  const { rows } = await db.query<{ schema: string }>("select current_schema() as schema");
  const statements = grantsTo(role, rows[0]?.schema ?? "public");
  for (const statement of statements) await db.query(statement);
  return statements;
}
