import type { ReplicationJob } from "./replication";

/** Whether every job has its writer on one of these workers, under the fence that it was given with. */
export const allReplicate = (jobs: readonly ReplicationJob[], inService: ReadonlySet<string>): boolean =>
  jobs.every(
    ({ state, isWriter, workerId }) => state === "running" && isWriter && workerId !== null && inService.has(workerId),
  );

/** Whether what a worker ran before has its writer on another, under a later fence. */
export function haveMoved(before: readonly ReplicationJob[], now: readonly ReplicationJob[], worker: string): boolean {
  return jobsOf(before, worker).every(({ id, fence }) =>
    now.some(
      (job) =>
        job.id === id &&
        job.isWriter &&
        job.workerId !== null &&
        job.workerId !== worker &&
        Number(job.fence) > Number(fence),
    ),
  );
}

export const jobsOf = (jobs: readonly ReplicationJob[], worker: string): readonly ReplicationJob[] =>
  jobs.filter(({ workerId }) => workerId === worker);

/** The worker that runs the most jobs; undefined where none runs any. */
export function busiestOf(jobs: readonly ReplicationJob[]): string | undefined {
  const workers = [...new Set(jobs.flatMap(({ workerId }) => workerId ?? []))];
  return workers.sort((a, b) => jobsOf(jobs, b).length - jobsOf(jobs, a).length)[0];
}
