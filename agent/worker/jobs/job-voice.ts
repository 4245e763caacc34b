import type { Checkpoint, JobRef } from "../../../control-plane/protocol";
import type { JobSource, ReleaseReason, TerminalReport } from "./job-source";

/** The last thing that is said of a job. */
export type LastWord =
  | { readonly kind: "report"; readonly report: TerminalReport }
  | { readonly kind: "release"; readonly reason: ReleaseReason; readonly checkpoint?: Checkpoint };

/** What is said of a job that goes on. */
interface News {
  readonly checkpoint: Checkpoint;
  /** The position after which changes may be missing. */
  readonly gapAfter: string | undefined;
}

/**
 * Says everything about one job under one fence, in order, one thing at a time, and nothing after the last word. While a word waits to
 * be heard, only the newest checkpoint is kept to be said next, and a possible gap along with it.
 */
export class JobVoice {
  private line: Promise<unknown> = Promise.resolve();
  private next: News | undefined;
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
    const inLine = this.next !== undefined;
    this.next = { checkpoint, gapAfter: this.next?.gapAfter ?? lastConfirmed };
    if (!inLine) this.line = this.line.then(() => this.sayNext());
  }

  /** Resolves once the word was taken or refused. A second last word is not said. */
  async end(word: LastWord): Promise<void> {
    if (this.over) return;
    this.over = true;
    // The word brings the newest checkpoint itself, but no gap.
    if (this.next?.gapAfter === undefined) this.next = undefined;
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
    this.next = undefined;
  }

  private async sayNext(): Promise<void> {
    const { next } = this;
    this.next = undefined;
    if (next) this.heard(await this.source.progress(this.ref, next.checkpoint, next.gapAfter));
  }

  private heard(answer: number | "fenced" | undefined): void {
    if (typeof answer === "number") this.newest(answer);
    if (answer !== "fenced") return;
    this.silence();
    this.fenced();
  }
}
