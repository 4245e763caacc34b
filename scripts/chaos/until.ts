import { setTimeout as pause } from "node:timers/promises";

const LOOK_MS = 200;

/**
 * Looks until there is something to give; errors count as nothing.
 *
 * @throws Error after `withinMs`, with what was waited for and the last error as its cause.
 */
export async function until<T>(what: string, withinMs: number, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + withinMs;
  let cause: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined) return seen;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`waited ${Math.round(withinMs / 1_000)} s in vain: ${what}`, { cause });
    }
    await pause(LOOK_MS);
  }
}
