import type { Checkpoint } from "../../../control-plane/protocol";
import { readText } from "../../host/files";
import { type Log, reason } from "../../host/log";
import { LatestWrite } from "./latest-write";

/** Jobs that are remembered: those that got on last. */
const MOST_JOBS = 1_000;

/**
 * The last checkpoint of each job that ran here, which a queue has no place for: a job that comes back to the same machine is told with the
 * position after which changes may be missing. One that got on elsewhere since has missed fewer. What cannot be read or written is only not known.
 */
export class LastPositions {
  private readonly byJob = new Map<string, Checkpoint>();
  private readonly file: LatestWrite;

  constructor(
    path: string,
    private readonly log: Log,
  ) {
    this.file = new LatestWrite(path, () => JSON.stringify([...this.byJob]));
    try {
      this.byJob = new Map(JSON.parse(readText(path)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") log.warn("positions not read", { reason: reason(error) });
    }
  }

  of(jobId: string): Checkpoint | undefined {
    return this.byJob.get(jobId);
  }

  /** A checkpoint that holds no position is not kept. */
  async keep(jobId: string, checkpoint: Checkpoint | undefined): Promise<void> {
    if (!checkpoint?.position) return;
    this.byJob.delete(jobId);
    this.byJob.set(jobId, checkpoint);
    for (const [oldest] of this.byJob) {
      if (this.byJob.size <= MOST_JOBS) break;
      this.byJob.delete(oldest);
    }
    await this.save();
  }

  async forget(jobId: string): Promise<void> {
    if (this.byJob.delete(jobId)) await this.save();
  }

  private async save(): Promise<void> {
    await this.file.save().catch((error) => this.log.warn("positions not written down", { reason: reason(error) }));
  }
}
