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

const DELETE_PAST_ENTRIES = `
  with old as (
    select seq, hash, bool_and(at < now() - make_interval(days => $2)) over (order by seq) as is_past
    from audit_log where deployment_id = $1 order by seq limit $3
  ), last as (
    select seq, hash from old where is_past order by seq desc limit 1
  ), moved as (
    update audit_heads set past_seq = last.seq, past_hash = last.hash from last
    where deployment_id = $1 and past_seq < last.seq returning past_seq
  )
  delete from audit_log entry using moved where entry.deployment_id = $1 and entry.seq <= moved.past_seq`;

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
      more = (await db.query(DELETE_PAST_ENTRIES, [deployment_id, days, portion])).rowCount ?? 0;
    }
  }
  return deleted;
}
