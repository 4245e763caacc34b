import { setTimeout as pause } from "node:timers/promises";

/** Repeats `check` until it no longer throws; after `withinMs` its last error is the failure. */
export async function eventually<T>(what: string, check: () => Promise<T>, withinMs = 30_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw new Error(`not in time: ${what}`, { cause: error });
      await pause(20);
    }
  }
}
