/** What operators see. Nothing sealed is ever selected here. */
import type { Prepared, Queryable } from "./database";

type Listed = Record<string, unknown>;

const JOB = `
  select j.id, j.name, j.pool, j.labels, j.priority, j.state, j.desired, j.fence, j.failures, j.max_retries as "maxRetries",
    j.on_disconnect as "onDisconnect", s.worker_id as "workerId", j.checkpoint_phase as phase, j.checkpoint_position as position,
    source.name as source, sink.name as sink, j.tables, j.gap_after as "gapAfter", j.last_error as "lastError", m.figures as metrics,
    (extract(epoch from now() - m.measured_at) * 1000)::bigint as "metricsAgeMs"
  from jobs j join datasources source on source.id = j.source_id join datasources sink on sink.id = j.sink_id
    left join sessions s on s.id = j.session_id left join job_metrics m on m.job_id = j.id and m.fence = j.fence
  where j.deployment_id = $1 and j.deleted_at is null`;

export async function listDeployments(db: Queryable, only: string | null): Promise<Listed[]> {
  const { rows } = await db.query("select id, name from deployments where $1::uuid is null or id = $1 order by name", [
    only,
  ]);
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

/** Whatever is secret stays out; `version` counts the passwords. */
export async function listDatasources(db: Queryable, deploymentId: string): Promise<Listed[]> {
  const { rows } = await db.query(
    `select d.id, d.name, d.engine, d.url, d.username as user, d.options, d.version, d.created_at as "createdAt",
       (select count(*) from jobs j where d.id in (j.source_id, j.sink_id) and j.deleted_at is null) as jobs
     from datasources d where d.deployment_id = $1 and d.deleted_at is null order by d.name`,
    [deploymentId],
  );
  return rows;
}

export async function listJobs(db: Queryable, deploymentId: string): Promise<Listed[]> {
  const { rows } = await db.query(`${JOB} order by j.name limit 10000`, [deploymentId]);
  return rows;
}

export async function readJob(db: Queryable, deploymentId: string, jobId: string): Promise<Listed | undefined> {
  const { rows } = await db.query(`${JOB} and j.id = $2`, [deploymentId, jobId]);
  return rows[0];
}

/** Workers whose session is open. `silentMs` is how long ago their lease ran out, by the database's clock; 0 when it is valid. */
export async function listWorkers(db: Queryable, deploymentId: string): Promise<Listed[]> {
  const { rows } = await db.query(
    `select s.id as "sessionId", s.worker_id as "workerId", s.pool, s.labels, s.slots, s.draining,
       s.agent_version as "agentVersion", s.daemon_version as "daemonVersion",
       greatest(0, extract(epoch from now() - l.expires_at) * 1000)::bigint as "silentMs",
       (select count(*) from jobs where session_id = s.id) as jobs
     from sessions s join leases l on l.session_id = s.id
     where s.deployment_id = $1 and s.state = 'open' order by s.worker_id`,
    [deploymentId],
  );
  return rows;
}
