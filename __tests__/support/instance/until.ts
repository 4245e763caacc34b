import { setTimeout as sleep } from "node:timers/promises";

/** No measure of anything: longer than the slowest machine needs, so that only what never happens fails. */
export const PATIENCE_MS = 300_000;

/** Waits until a condition holds. @throws Error with what `explain` says after {@link PATIENCE_MS}. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  explain: () => Promise<string> = async () => "",
): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) {
      throw new Error(`${what}: not within ${PATIENCE_MS / 1000} s\n${await explain()}`);
    }
    await sleep(200);
  }
}
