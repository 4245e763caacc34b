/**
 * One Ctrl-C is heard more than once: the terminal signals npm and the program alike, and npm passes on what it gets; so does `npx tsx`, up to
 * 30 ms later. Nobody means a second one so soon.
 */
const ECHOES_MS = 1_000;

/** Ctrl-C, whoever ends programs in order, and a terminal that is closed. */
export const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** What interrupts ask of a program at work: the first to end in order; one that is no echo of the first, to end at once. */
export class Interrupts {
  private readonly inOrder = new AbortController();
  private readonly atOnce = new AbortController();
  private firstAtMs: number | undefined;

  /** @param now a clock that is never set back, in ms */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Aborted by the first interrupt. */
  get first(): AbortSignal {
    return this.inOrder.signal;
  }

  /** Aborted by an interrupt that comes a second or more after the first. */
  get second(): AbortSignal {
    return this.atOnce.signal;
  }

  /** To be called for each signal that asks to end. */
  hear(): void {
    if (this.firstAtMs === undefined) {
      this.firstAtMs = this.now();
      this.inOrder.abort();
    } else if (this.now() - this.firstAtMs >= ECHOES_MS) {
      this.atOnce.abort();
    }
  }

  /** Hears what asks this process to end, from now on. */
  listen(heard: () => void = () => undefined): this {
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        this.hear();
        heard();
      });
    }
    return this;
  }
}
