/** Bounds what piles up. */
import type { Queryable } from "./database";

/** Few enough to be quick, so that no transaction holds vacuum up. */
const PORTION = 1_000;

/**
 * In this order, so that nothing goes before what refers to it. What is sealed left its row when the datasource was deleted; what these
 * rows still tell is who there was and when.
 */
const PAST = [
  ["upgrades", "ended_at < now() - make_interval(days => $1)"],
  ["connection_tests", "expires_at < now() - make_interval(days => $1)"],
  ["jobs", "deleted_at < now() - make_interval(days => $1)"],
  [
    "datasources d",
    `deleted_at < now() - make_interval(days => $1)
       and not exists (select 1 from jobs j where d.id in (j.source_id, j.sink_id))`,
  ],
  [
    "sessions s",
    `closed_at < now() - make_interval(days => $1) and not exists (select 1 from jobs j where j.session_id = s.id)`,
  ],
  ["tokens", "least(revoked_at, expires_at) < now() - make_interval(days => $1)"],
] as const;

/** Deletes what ended more than `days` ago and gives how many rows that were. Portions are committed one by one. */
export async function deletePast(db: Queryable, days: number, portion = PORTION): Promise<number> {
  let deleted = 0;
  for (const [table, condition] of PAST) {
    const [name] = table.split(" ");
    for (let more = portion; more === portion; deleted += more) {
      const { rowCount } = await db.query(
        `delete from ${name} where id = any(array(select id from ${table} where ${condition} limit ${portion} for update skip locked))`,
        [days],
      );
      more = rowCount ?? 0;
    }
  }
  return deleted;
}

/**
 * Deletes the oldest entries of every audit log, up to the first that is not `days` old, and gives how many that were. What remains
 * stays a chain that shows what was changed, removed or put in.
 *
 * @throws Error when `days` is less than the 90 for which the database keeps an entry against everybody.
 */
export async function deletePastAudit(db: Queryable, days: number, portion = PORTION): Promise<number> {
  const { rows: chains } = await db.query<{ deployment_id: string }>("select deployment_id from audit_heads");
  let deleted = 0;
  for (const { deployment_id } of chains) {
    for (let more = portion; more === portion; deleted += more) {
      const { rows } = await db.query<{ entries: number }>("select delete_past_audit_entries($1, $2, $3) as entries", [
        deployment_id,
        days,
        portion,
      ]);
      more = rows[0]?.entries ?? 0;
    }
  }
  return deleted;
}
