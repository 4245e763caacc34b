import type { Job } from "../../../../control-plane/lease/job";

/** The jobs of a control plane, which counts the ends that they came to, and those that did not last. */
export class JobLedger extends Map<string, Job> {
  ends = 0;
  /** Ended jobs that something else than the operator's wish gave another state. */
  overturned = 0;
  private operatorActs = false;

  override set(jobId: string, job: Job): this {
    const before = this.get(jobId);
    if (before && before.state !== job.state) {
      if (isEnded(job)) this.ends += 1;
      if (isEnded(before) && !this.operatorActs) this.overturned += 1;
    }
    return super.set(jobId, job);
  }

  /** What happens in `act` is the operator's wish. */
  byOperator(act: () => void): void {
    this.operatorActs = true;
    act();
    this.operatorActs = false;
  }
}

export function isEnded({ state }: Job): boolean {
  return state === "completed" || state === "failed";
}
