import type { Clock } from "./clock";
import type { RollEvent } from "./events";
import { isOver, type Replacement } from "./replacement";

/** Silence is never longer than this, plus one look at the world. */
const EVENT_GAP_MS = 15_000;

/** Tells what happens, and at intervals that nothing does and why. */
export class Reporter {
  rollId = "";
  #lastMs = 0;

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
    const nowMs = this.clock.now();
    if (nowMs - this.#lastMs < EVENT_GAP_MS) return;
    this.say("waiting", {
      elapsedMs: nowMs - sinceMs,
      node,
      phase,
      ...(instance === undefined ? {} : { instance }),
      ...(reason === undefined ? {} : { reason }),
    });
  }

  stillAt(replacement: Replacement, reason: string | undefined): void {
    if (isOver(replacement)) return;
    this.waiting(replacement.node, replacement.state, replacement.sinceMs, reason, instanceOf(replacement).instance);
  }
}

function instanceOf({ newInstance, oldInstance }: Replacement): { instance?: string } {
  const instance = newInstance ?? oldInstance;
  return instance === undefined ? {} : { instance };
}
