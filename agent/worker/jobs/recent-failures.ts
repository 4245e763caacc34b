import { longestRetryMs } from "../../../control-plane/protocol/retry-delay";

interface Failure {
  /** On the clock of `performance.now()`. */
  readonly waitsUntil: number;
  /** It was not taken since. */
  readonly isNew: boolean;
}

/** Where no metrics are sent nobody asks for them. */
const MOST_KEPT = 1_000;

/** Jobs that failed on this worker a moment ago: they have left it, and nobody else tells of them until they run again. */
export class RecentFailures {
  private readonly failures = new Map<string, Failure>();

  /** @param attempt the number of the start that failed, counted since the job last got on. */
  add(jobId: string, attempt: number): void {
    this.failures.delete(jobId);
    this.failures.set(jobId, { waitsUntil: performance.now() + longestRetryMs(attempt), isNew: true });
    const [oldest] = this.failures.keys();
    if (this.failures.size > MOST_KEPT && oldest !== undefined) this.failures.delete(oldest);
  }

  /** Those that failed since this was last asked, and those that may still wait for their next start unless they are `back`. */
  take(back: (jobId: string) => boolean): string[] {
    const now = performance.now();
    const taken: string[] = [];
    for (const [jobId, { waitsUntil, isNew }] of this.failures) {
      const isWaiting = now < waitsUntil && !back(jobId);
      if (isNew || isWaiting) taken.push(jobId);
      if (isWaiting) this.failures.set(jobId, { waitsUntil, isNew: false });
      else this.failures.delete(jobId);
    }
    return taken;
  }
}
