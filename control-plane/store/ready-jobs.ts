import type { Placement } from "../lease/placement";
import type { Prepared, Queryable } from "./database";

/** Jobs that may be claimed now and need the same of a worker. */
export interface ReadyJobs extends Placement {
  readonly jobs: number;
}

const READY: Prepared = {
  name: "ready-jobs",
  text: `
    select deployment_id as "deploymentId", pool, labels, count(*) as jobs
    from ready_jobs where not_before <= now() group by deployment_id, pool, labels`,
};

export async function readReadyJobs(db: Queryable): Promise<ReadyJobs[]> {
  return (await db.query<ReadyJobs & Record<string, unknown>>(READY)).rows;
}
