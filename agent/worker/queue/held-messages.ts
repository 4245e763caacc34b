import type { JobRef } from "../../../control-plane/protocol";
import type { Instant } from "../../../control-plane/protocol/worker-lease";
import { readText, unlessMissing } from "../../host/files";
import { LatestWrite } from "./latest-write";

/** A message that was received and is this worker's for as long as its time is extended. */
export interface HeldMessage extends JobRef {
  readonly receipt: string;
  /** SQS hides it from others until then at least; absent where an earlier version of the agent has written it down. */
  readonly until?: Instant;
}

const UNREADABLE =
  "it names the messages that are held: make it readable and start the agent again, or remove it to have their jobs ended and handed out anew";

/**
 * The messages that are held, written down: daemons outlive the agent, and so must the hold on their messages. What was written down is
 * there after a power cut, too.
 */
export class HeldMessages {
  private readonly byJob = new Map<string, HeldMessage>();
  /** Held as soon as they are written down. */
  private readonly coming = new Map<string, HeldMessage>();
  private readonly file: LatestWrite;

  /** @throws Error when the file is there and cannot be read: what runs here would be taken for unknown, and ended. */
  constructor(path: string) {
    this.file = new LatestWrite(path, () => JSON.stringify([...new Map([...this.byJob, ...this.coming]).values()]));
    const text = unlessMissing(path, readText, UNREADABLE);
    if (text === undefined) return;
    try {
      for (const message of JSON.parse(text)) this.byJob.set(message.jobId, message);
    } catch {
      // No write leaves it so. A daemon whose message is not known is ended, and its job handed out anew.
    }
  }

  all(): HeldMessage[] {
    return [...this.byJob.values()];
  }

  /** Undefined where another fence of the job is held, or none. */
  of({ jobId, fence }: JobRef): HeldMessage | undefined {
    const held = this.byJob.get(jobId);
    return held?.fence === fence ? held : undefined;
  }

  ofJob(jobId: string): HeldMessage | undefined {
    return this.byJob.get(jobId);
  }

  /** @throws Error when nothing more could be written down: the disk is full, or not there. */
  async requireWritable(): Promise<void> {
    await this.file.save();
  }

  /**
   * Resolves once it is written down, and held unless it was forgotten meanwhile.
   *
   * @throws Error when it cannot be written down; then it is not held.
   */
  async hold(message: HeldMessage): Promise<void> {
    const { jobId } = message;
    const isComing = () => this.coming.get(jobId) === message;
    this.coming.set(jobId, message);
    try {
      await this.file.save();
      if (isComing()) this.byJob.set(jobId, message);
    } finally {
      if (isComing()) this.coming.delete(jobId);
    }
  }

  /** Their time was extended. What cannot be written down of that the agent's next life does not know. */
  async prolong(refs: readonly JobRef[], until: Instant): Promise<void> {
    for (const ref of refs) {
      const message = this.of(ref);
      if (message) this.byJob.set(ref.jobId, { ...message, until });
    }
    if (refs.length > 0) await this.file.save().catch(() => {});
  }

  /** It is held no more from now on. @throws Error when that cannot be written down. */
  async forget({ jobId, fence }: JobRef): Promise<void> {
    if (this.byJob.get(jobId)?.fence !== fence) return;
    this.byJob.delete(jobId);
    this.coming.delete(jobId);
    await this.file.save();
  }
}
