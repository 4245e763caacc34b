import { writeFileAtomic } from "../../host/files";

/** Keeps a file at what `content` gives, for its owner alone: one write at a time, each of which takes along what changed until it begins. */
export class LatestWrite {
  private writing: Promise<void> = Promise.resolve();
  /** The write after the one under way. */
  private next: Promise<void> | undefined;

  constructor(
    private readonly path: string,
    private readonly content: () => string,
  ) {}

  /** Resolves once what is there now is written down. @throws Error when it cannot be. */
  save(): Promise<void> {
    this.next ??= this.writing.then(() => {
      this.next = undefined;
      const written = writeFileAtomic(this.path, this.content(), 0o600);
      this.writing = written.catch(() => {});
      return written;
    });
    return this.next;
  }
}
