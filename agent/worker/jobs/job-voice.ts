import type { Checkpoint, JobRef } from "../../../control-plane/protocol";
import type { JobSource, ReleaseReason, TerminalReport } from "./job-source";

/** The last thing that is said of a job. */
export type LastWord =
  | { readonly kind: "report"; readonly report: TerminalReport }
  | { readonly kind: "release"; readonly reason: ReleaseReason; readonly checkpoint?: Checkpoint };

/** Says everything about one job under one fence, in order, one thing at a time, and nothing after the last word. */
export class JobVoice {
  private line: Promise<unknown> = Promise.resolve();
  private over = false;

  constructor(
    private readonly ref: JobRef,
    private readonly source: JobSource,
    /** Told when the source says that the job is no longer this worker's. */
    private readonly fenced: () => void,
    /** Told the number of the newest checkpoint that the source holds. */
    private readonly newest: (seq: number) => void,
  ) {}

  progress(checkpoint: Checkpoint, lastConfirmed?: string): void {
    if (this.over) return;
    this.line = this.line.then(async () => {
      if (this.over) return;
      this.heard(await this.source.progress(this.ref, checkpoint, lastConfirmed));
    });
  }

  /** Resolves once the word was taken or refused. A second last word is not said. */
  async end(word: LastWord): Promise<void> {
    if (this.over) return;
    this.over = true;
    const said = this.line.then(() =>
      word.kind === "report"
        ? this.source.report(this.ref, word.report)
        : this.source.release(this.ref, word.reason, word.checkpoint),
    );
    this.line = said;
    await said;
  }

  /** Nothing more is said: whoever has the job now speaks of it. */
  silence(): void {
    this.over = true;
  }

  private heard(answer: number | "fenced" | undefined): void {
    if (typeof answer === "number") this.newest(answer);
    if (answer !== "fenced") return;
    this.over = true;
    this.fenced();
  }
}
