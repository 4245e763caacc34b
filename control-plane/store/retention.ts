/** Bounds what piles up. */
import type { Queryable } from "./database";

/** Few enough to be quick, so that no transaction holds vacuum up. */
const PORTION = 1_000;
/**
 * Datasources, which are deleted one by one: for each the database looks three times through all jobs, about a second for a million of them.
 * Indexes would spare it that, and make each claim and each report half as dear again.
 */
const DATASOURCES_AT_MOST = 20;

/**
 * In this order, so that nothing goes before what refers to it. What is sealed left its row when the datasource was deleted; what these
 * rows still tell is who there was and when.
 */
const PAST: readonly (readonly [table: string, condition: string, oneByOne?: number])[] = [
  ["upgrades", "ended_at < now() - make_interval(days => $1)"],
  ["connection_tests", "expires_at < now() - make_interval(days => $1)"],
  ["jobs", "deleted_at < now() - make_interval(days => $1)"],
  [
    "datasources d",
    `deleted_at < now() - make_interval(days => $1)
       and not exists (select 1 from jobs j where d.id in (j.source_id, j.sink_id))`,
    DATASOURCES_AT_MOST,
  ],
  [
    "sessions s",
    `closed_at < now() - make_interval(days => $1) and not exists (select 1 from jobs j where j.session_id = s.id)`,
  ],
  ["tokens", "least(revoked_at, expires_at) < now() - make_interval(days => $1)"],
];

/**
 * Deletes what ended more than `days` ago and gives how many rows that were. Portions are committed one by one. Of datasources
 * a few go at a time, the others when it is called again.
 *
 * @throws AggregateError that names the tables of which nothing more could be deleted, and why; the others are done by then.
 */
export async function deletePast(db: Queryable, days: number, portion = PORTION): Promise<number> {
  let deleted = 0;
  const failures = new Map<string, unknown>();
  for (const [table, condition, oneByOne] of PAST) {
    const [name = table] = table.split(" ");
    const limit = oneByOne ? 1 : portion;
    const sql = `delete from ${name} where id = any(array(select id from ${table} where ${condition} limit ${limit} for update skip locked))`;
    try {
      let more = limit;
      for (let round = 0; more === limit && round !== oneByOne; round++) {
        more = (await db.query(sql, [days])).rowCount ?? 0;
        deleted += more;
      }
    } catch (error) {
      failures.set(name, error);
    }
  }
  if (failures.size === 0) return deleted;
  const reasons = [...failures].map(([name, error]) => `${name} (${error instanceof Error ? error.message : error})`);
  throw new AggregateError(failures.values(), `what ended was not deleted of ${reasons.join(", ")}`);
}

/**
 * How long a pool is remembered that has neither a job nor a worker: a fleet may keep it, empty, and an alarm tells it when nothing is
 * published of its backlog.
 */
const UNUSED_POOL = "interval '1 year'";

/** What begins to use a pool meanwhile puts it in again; until then its backlog is told of what waits. */
const FORGET_POOLS = `
  with used as materialized (
    select deployment_id, pool as name from jobs union select deployment_id, pool from sessions
  ), noted as (
    update pools p set unused_since = case when p.unused_since is null then now() end
    where (p.unused_since is null) <> exists (select from used u where u.deployment_id = p.deployment_id and u.name = p.name)
  )
  delete from pools p where p.unused_since < now() - ${UNUSED_POOL}
    and not exists (select from used u where u.deployment_id = p.deployment_id and u.name = p.name)`;

/** Forgets pools that had neither a job nor a worker for a year, and gives how many. What has ended is one until it is deleted. */
export async function forgetUnusedPools(db: Queryable): Promise<number> {
  return (await db.query(FORGET_POOLS)).rowCount ?? 0;
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
