import { setTimeout as sleep } from "node:timers/promises";

/** Only a hang takes so long. */
const DEADLINE_MS = 300_000;

/** What `look` gives, once it gives something. @throws Error where it gives nothing for five minutes. */
export async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > deadline) throw new Error(`nothing came of ${look} in ${DEADLINE_MS / 1_000} s`);
    await sleep(20);
  }
}
