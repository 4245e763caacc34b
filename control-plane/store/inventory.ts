/** What operators see. Nothing sealed is ever selected here. */
import type { Prepared, Queryable } from "./database";

export type Listed = Record<string, unknown>;

/** A part of a list: at most so many of those that come after one. */
export interface Page {
  /** What the list is in the order of, of the last one of the part before; empty: from the first on. */
  readonly after: string;
  readonly limit: number;
}

export const EVERYTHING: Page = { after: "", limit: Number.MAX_SAFE_INTEGER };

/** Lists in the order in which their entries were made. */
export type ListById = "tokens" | "upgrades";

/** Whether a list has an entry with an id. */
export async function isListed(
  db: Queryable,
  list: ListById,
  deploymentId: string | null,
  id: string,
): Promise<boolean> {
  const place = `select 1 from ${list} where id = $1 and deployment_id is not distinct from $2`;
  return (await db.query(place, [id, deploymentId])).rows.length > 0;
}

/** As a literal, so that a plan is made for so many and not for a share of all there are. @throws Error for what is no number */
export function limited({ limit }: Page): string {
  if (!Number.isSafeInteger(limit)) throw new Error(`a page has so many entries, not ${limit}`);
  return `limit ${limit}`;
}

/** Of rows `m` of job_metrics. */
export const METRICS_AGE_MS = `(extract(epoch from now() - m.measured_at) * 1000)::bigint as "metricsAgeMs"`;
/** How long ago a lease ran out, by the database's clock; 0 when it is valid. */
const SILENT_MS = `greatest(0, extract(epoch from now() - l.expires_at) * 1000)::bigint as "silentMs"`;

/** What belongs to a job is looked up for each one that is shown, never read as a whole. */
const JOB = `
  select j.id, j.name, j.pool, j.labels, j.priority, j.state, j.desired, j.fence, j.failures, j.max_retries as "maxRetries",
    j.on_disconnect as "onDisconnect", (select worker_id from sessions where id = j.session_id) as "workerId",
    j.checkpoint_phase as phase, j.checkpoint_position as position,
    (select name from datasources where id = j.source_id) as source, (select name from datasources where id = j.sink_id) as sink,
    j.tables, j.gap_after as "gapAfter", j.last_error as "lastError", m.figures as metrics,
    ${METRICS_AGE_MS}
  from jobs j left join lateral (
    select figures, measured_at from job_metrics where job_id = j.id and fence = j.fence limit 1
  ) m on true
  where j.deployment_id = $1 and j.deleted_at is null`;

/** In the order of names. */
export async function listDeployments(db: Queryable, only: string | null, page = EVERYTHING): Promise<Listed[]> {
  const { rows } = await db.query(
    `select id, name from deployments where ($1::uuid is null or id = $1) and name > $2 order by name ${limited(page)}`,
    [only, page.after],
  );
  return rows;
}

const DEPLOYMENT: Prepared = { name: "deployment", text: "select 1 from deployments where id = $1" };

/** Says of ids whether they are deployments'. None is ever deleted: of one that was found the database is not asked again. */
export function findDeployments(db: Queryable): (id: string) => Promise<boolean> {
  const found = new Set<string>();
  return async (id) => {
    if (found.has(id)) return true;
    const isThere = (await db.query(DEPLOYMENT, [id])).rows.length > 0;
    if (isThere) found.add(id);
    return isThere;
  };
}

/** In the order of names. Whatever is secret stays out; `version` counts the passwords. */
export async function listDatasources(db: Queryable, deploymentId: string, page = EVERYTHING): Promise<Listed[]> {
  const { rows } = await db.query(
    `with shown as materialized (
       select * from datasources where deployment_id = $1 and deleted_at is null and name > $2 order by name ${limited(page)}
     ), uses as (
       select id, count(*) as jobs from (
         select source_id as id from jobs where deployment_id = $1 and deleted_at is null
         union all select sink_id from jobs where deployment_id = $1 and deleted_at is null and sink_id <> source_id
       ) used group by id
     )
     select d.id, d.name, d.engine, d.url, d.username as user, d.options, d.version, d.created_at as "createdAt",
       coalesce(u.jobs, 0) as jobs
     from shown d left join uses u on u.id = d.id order by d.name`,
    [deploymentId, page.after],
  );
  return rows;
}

/** In the order of names. */
export async function listJobs(db: Queryable, deploymentId: string, page = EVERYTHING): Promise<Listed[]> {
  const { rows } = await db.query(`${JOB} and j.name > $2 order by j.name ${limited(page)}`, [
    deploymentId,
    page.after,
  ]);
  return rows;
}

/** As it is listed, and the last lines that its daemon wrote before it ended last. */
export async function readJob(db: Queryable, deploymentId: string, jobId: string): Promise<Listed | undefined> {
  const { rows } = await db.query(
    `select listed.*, (select log_tail from jobs where id = listed.id) as "logTail" from (${JOB} and j.id = $2) listed`,
    [deploymentId, jobId],
  );
  return rows[0];
}

/** Workers whose session is open, in the order of their ids. */
export async function listWorkers(db: Queryable, deploymentId: string, page = EVERYTHING): Promise<Listed[]> {
  const { rows } = await db.query(
    `select s.id as "sessionId", s.worker_id as "workerId", s.pool, s.labels, s.slots, s.draining,
       s.agent_version as "agentVersion", s.daemon_version as "daemonVersion",
       ${SILENT_MS},
       (select count(*) from jobs where session_id = s.id) as jobs
     from sessions s join lateral (select expires_at from leases where session_id = s.id limit 1) l on true
     where s.deployment_id = $1 and s.state = 'open' and s.worker_id > $2 order by s.worker_id ${limited(page)}`,
    [deploymentId, page.after],
  );
  return rows;
}
