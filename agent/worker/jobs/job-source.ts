import type { Checkpoint, Grant, JobRef, Request } from "../../../control-plane/protocol";

export type TerminalReport = Omit<Request<"report">, keyof JobRef>;
export type ReleaseReason = Request<"release">["reason"];

/** Whether the source took the word, or the job is no longer this worker's. */
export type Taken = "taken" | "fenced";

/**
 * Where jobs come from and where word of them goes. What is said of a job is repeated by the source until it is taken, refused
 * or `signal` ends the trying; then the promise resolves with `undefined`.
 */
export interface JobSource {
  /** Waits for work, for at most so many jobs; for none, for orders alone. */
  claim(freeSlots: number, signal: AbortSignal): Promise<readonly Grant[]>;
  /** Asks before the daemon of a grant is started; one attempt. @returns also for how many milliseconds not to ask again, where it was not heard. */
  started(ref: JobRef): Promise<Taken | number>;
  /** @returns the number of the newest checkpoint that the source holds; one that is no newer changed nothing. */
  progress(ref: JobRef, checkpoint: Checkpoint, lastConfirmed?: string): Promise<number | "fenced" | undefined>;
  report(ref: JobRef, report: TerminalReport): Promise<Taken | undefined>;
  release(ref: JobRef, reason: ReleaseReason, checkpoint?: Checkpoint): Promise<Taken | undefined>;
}
