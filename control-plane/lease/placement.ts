export type Labels = Readonly<Record<string, string>>;

/** Where a worker is and what it has, or where a job waits and what it needs. */
export interface Placement {
  readonly deploymentId: string;
  readonly pool: string;
  readonly labels: Labels;
}

/** Whether a worker may take a job: one of its deployment and its pool that needs no label the worker does not have. */
export function mayTake(worker: Placement, job: Placement): boolean {
  return (
    worker.deploymentId === job.deploymentId &&
    worker.pool === job.pool &&
    Object.entries(job.labels).every(([label, value]) => worker.labels[label] === value)
  );
}

/** The same text for the same placement, however its labels are ordered. */
export function keyOf({ deploymentId, pool, labels }: Placement): string {
  return JSON.stringify([deploymentId, pool, Object.entries(labels).sort()]);
}
