import { renameSync, writeFileSync } from "node:fs";
import type { JobRef } from "../../../control-plane/protocol";
import { readText, unlessMissing } from "../../host/files";

/** A message that was received and is this worker's for as long as its time is extended. */
export interface HeldMessage extends JobRef {
  readonly receipt: string;
}

const UNREADABLE =
  "it names the messages that are held: make it readable and start the agent again, or remove it to have their jobs ended and handed out anew";

/** The messages that are held, written down: daemons outlive the agent, and so must the hold on their messages. */
export class HeldMessages {
  private byJob = new Map<string, HeldMessage>();

  /** @throws Error when the file is there and cannot be read: what runs here would be taken for unknown, and ended. */
  constructor(private readonly path: string) {
    const text = unlessMissing(path, readText, UNREADABLE);
    if (text === undefined) return;
    try {
      for (const message of JSON.parse(text)) this.byJob.set(message.jobId, message);
    } catch {
      // Torn by a power cut, as it takes its place whole: no daemon outlives that.
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
  requireWritable(): void {
    this.write(this.byJob);
  }

  /** @throws Error when it cannot be written down; then it is not held. */
  hold(message: HeldMessage): void {
    const byJob = new Map(this.byJob).set(message.jobId, message);
    this.write(byJob);
    this.byJob = byJob;
  }

  forget({ jobId, fence }: JobRef): void {
    if (this.byJob.get(jobId)?.fence !== fence) return;
    this.byJob.delete(jobId);
    this.write(this.byJob);
  }

  private write(byJob: ReadonlyMap<string, HeldMessage>): void {
    writeFileSync(`${this.path}.partial`, JSON.stringify([...byJob.values()]), { mode: 0o600 });
    renameSync(`${this.path}.partial`, this.path);
  }
}
