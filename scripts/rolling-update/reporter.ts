import type { Clock } from "./clock";
import type { RollEvent } from "./events";
import { isOver, type Replacement } from "./replacement";

/** Silence is never longer than this, plus one look at the world. */
const EVENT_GAP_MS = 15_000;

/** Tells what happens, and at intervals that nothing does and why. */
export class Reporter {
  rollId = "";
  #lastMs = 0;
  /** By node: what stood against its replacement when that was last told. */
  readonly #told = new Map<string, string>();

  constructor(
    private readonly clock: Clock,
    private readonly cluster: string,
    private readonly report: (event: RollEvent) => void,
  ) {}

  say(kind: RollEvent["kind"], detail: Omit<RollEvent, "time" | "cluster" | "roll" | "kind">): void {
    this.#lastMs = this.clock.now();
    this.report({
      time: new Date(this.#lastMs).toISOString(),
      cluster: this.cluster,
      roll: this.rollId,
      kind,
      ...detail,
    });
  }

  entered(replacement: Replacement, elapsedMs: number, etaMs?: number): void {
    const { failure } = replacement;
    this.say("phase", {
      elapsedMs,
      node: replacement.node,
      phase: replacement.state,
      ...instanceOf(replacement),
      ...(failure ? { reason: failure.reason ?? failure.message } : {}),
      ...(etaMs === undefined ? {} : { etaMs }),
    });
  }

  waiting(node: string, phase: string, sinceMs: number, reason: string | undefined, instance?: string): void {
    if (this.clock.now() - this.#lastMs >= EVENT_GAP_MS) this.#waits(node, phase, sinceMs, reason, instance);
  }

  /** What stands against a replacement is told at the look that sees it, and again at intervals. */
  stillAt(replacement: Replacement, reason: string | undefined): void {
    if (isOver(replacement)) return;
    const { node, state, sinceMs } = replacement;
    const { instance } = instanceOf(replacement);
    if (reason === undefined || reason === this.#told.get(node)) {
      this.waiting(node, state, sinceMs, reason, instance);
    } else {
      this.#told.set(node, reason);
      this.#waits(node, state, sinceMs, reason, instance);
    }
  }

  #waits(node: string, phase: string, sinceMs: number, reason: string | undefined, instance?: string): void {
    this.say("waiting", {
      elapsedMs: this.clock.now() - sinceMs,
      node,
      phase,
      ...(instance === undefined ? {} : { instance }),
      ...(reason === undefined ? {} : { reason }),
    });
  }
}

function instanceOf({ newInstance, oldInstance }: Replacement): { instance?: string } {
  const instance = newInstance ?? oldInstance;
  return instance === undefined ? {} : { instance };
}
