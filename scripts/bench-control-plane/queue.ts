/** A queue of jobs and its workers, this project's or another's: one process of Node.js with so many clients. */
export interface Queue {
  readonly name: string;
  /** Puts jobs in, and gives how long its clients need to take and complete all of them one by one, in ms. */
  drain(jobs: number): Promise<number>;
  /** The same in batches, as large as it has them. */
  drainInBatches(jobs: number): Promise<number>;
  /** How long it takes from a job's creation to the start of its task, one after the other, in ms. */
  latencies(jobs: number): Promise<number[]>;
  stop(): Promise<void>;
}
