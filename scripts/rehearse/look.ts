import { setTimeout as sleep } from "node:timers/promises";

export interface Looking {
  readonly pollMs: number;
  readonly signal: AbortSignal;
}

/** Looks until the signal comes. */
export async function keepLooking(look: () => Promise<void>, { pollMs, signal }: Looking): Promise<void> {
  while (!signal.aborted) {
    await look();
    await sleep(pollMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Looks until what is seen is enough, or the time is over. @returns what was seen last. @throws AbortError once the signal comes */
export async function lookUntil<T>(
  look: () => Promise<T>,
  isEnough: (seen: T) => boolean,
  { withinMs, pollMs, signal }: Looking & { readonly withinMs: number },
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (isEnough(seen) || performance.now() > deadline) return seen;
    await sleep(pollMs, undefined, { signal });
  }
}
