import type { Queryable } from "./database";

/** The work that waits for a pool. */
export interface PoolBacklog {
  /** Name of the deployment. */
  readonly deployment: string;
  readonly pool: string;
  /** Pending jobs that nobody has claimed. */
  readonly jobs: number;
  /** How long the oldest of them has waited, in seconds; 0 when none waits. */
  readonly ageSeconds: number;
}

/** Every pool that is remembered or for which jobs wait, in the database's time. */
export async function readBacklog(db: Queryable): Promise<PoolBacklog[]> {
  const { rows } = await db.query<PoolBacklog & { deployment: string }>(
    `select d.name as deployment, p.name as pool, count(r.job_id) as jobs,
       coalesce(extract(epoch from now() - min(j.pending_since)), 0)::float as "ageSeconds"
     from (select deployment_id, name from pools union select deployment_id, pool from ready_jobs) p join deployments d on d.id = p.deployment_id
       left join ready_jobs r on r.deployment_id = p.deployment_id and r.pool = p.name
       left join jobs j on j.id = r.job_id
     group by d.name, p.name order by d.name, p.name`,
  );
  return rows;
}
