import type { ServiceState } from "./systemd";

/** How long the work of one turn of a loop may take, whatever it waits for besides: every call has a shorter deadline. */
const TURN_MS = 120_000;

/** Loops that must keep turning, each with the time until which its next turn is due. */
export interface Progress {
  /** The loop turns now, and again within `waitMs` and the time that a turn's work may take. */
  turn(loop: string, waitMs: number): void;
  /** The loop has ended. */
  end(loop: string): void;
  /** The loops whose turn is overdue. */
  stuck(): string[];
}

/** @param now milliseconds on a clock that only goes forward. */
export function trackProgress(now: () => number = () => performance.now()): Progress {
  const due = new Map<string, number>();
  return {
    turn: (loop, waitMs) => void due.set(loop, now() + waitMs + TURN_MS),
    end: (loop) => void due.delete(loop),
    stuck: () => [...due].filter(([, time]) => time < now()).map(([loop]) => loop),
  };
}

/**
 * The sign of life that is due to systemd now; undefined while a loop is stuck, so that the watchdog expires. The deadline of a start,
 * or of a stop, is moved on by two periods, or three: it is as far away as the unit has it at first, see sd_notify(3).
 */
export function signOfLife(
  progress: Progress,
  phase: "starting" | "running" | "stopping",
  periodMs: number,
): ServiceState | undefined {
  if (progress.stuck().length > 0) return undefined;
  // During the start no watchdog runs.
  if (phase === "starting") return { extendTimeoutMs: 2 * periodMs };
  // Who leaves by itself is not being stopped, and watched on.
  return { watchdog: true, ...(phase === "stopping" && { extendTimeoutMs: 3 * periodMs }) };
}
