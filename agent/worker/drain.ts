/** Who wants a worker to let its jobs go. */
export type DrainSource =
  | "control plane"
  | "stop"
  | "terminating"
  | "spot interruption"
  | "rebalance recommendation"
  | "scheduled event";

/** `handoff`: jobs stop where they are and go on elsewhere. `finish`: they may end by themselves until the deadline. */
export type DrainMode = "handoff" | "finish";

export interface Drain {
  /** The first that asked. */
  readonly source: DrainSource;
  readonly mode: DrainMode;
  /** On the clock of `performance.now()`: when no daemon may be left. */
  readonly deadlineAt: number;
}

/** What a job that is given back needs of the time that is left: to quiesce, and to be ended when it does not. */
export const QUIESCE_MS = 30_000;

/** The drain after one more source asked for it: the first names it, a nearer deadline and a handoff count from anyone. */
export function tightened(held: Drain | undefined, asked: Drain): Drain {
  if (!held) return asked;
  const deadlineAt = Math.min(held.deadlineAt, asked.deadlineAt);
  const mode = held.mode === "handoff" || asked.mode === "handoff" ? "handoff" : "finish";
  return deadlineAt === held.deadlineAt && mode === held.mode ? held : { source: held.source, mode, deadlineAt };
}

/** When the daemons of a drain are asked to stop. */
export function quiesceAt({ mode, deadlineAt }: Drain, now: number): number {
  return mode === "handoff" ? now : Math.max(now, deadlineAt - QUIESCE_MS);
}
