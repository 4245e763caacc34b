import type { Job } from "../../../../control-plane/lease/job";

/** The jobs of a control plane, which counts the ends that they came to, and what did not last. */
export class JobLedger extends Map<string, Job> {
  ends = 0;
  /** Jobs at their end or at rest that something else than the operator's wish gave another state, and wishes that something else changed. */
  overturned = 0;
  private operatorActs = false;

  override set(jobId: string, job: Job): this {
    const before = this.get(jobId);
    if (before && before.state !== job.state && isEnded(job)) this.ends += 1;
    if (before && !this.operatorActs && !agrees(before, job)) this.overturned += 1;
    return super.set(jobId, job);
  }

  /** What happens in `act` is the operator's wish. */
  byOperator<Said>(act: () => Said): Said {
    this.operatorActs = true;
    try {
      return act();
    } finally {
      this.operatorActs = false;
    }
  }
}

function agrees(before: Job, after: Job): boolean {
  if (before.desired !== after.desired) return false;
  return before.state === after.state || !(isEnded(before) || isAtRest(before));
}

export function isEnded({ state }: Job): boolean {
  return state === "completed" || state === "failed";
}

/** Whether it waits for the operator, and for nobody else. */
export function isAtRest({ state }: Job): boolean {
  return state === "created" || state === "paused" || state === "stopped" || state === "deleted";
}
