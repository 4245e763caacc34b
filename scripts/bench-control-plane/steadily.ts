import { setTimeout as pause } from "node:timers/promises";

/** Begins with so many items a second, however long each takes; gives what came of each, in order. */
export async function steadily<T, R>(
  perSecond: number,
  items: readonly T[],
  begin: (item: T) => Promise<R>,
): Promise<R[]> {
  const startedAt = performance.now();
  const begun = items.map(async (item, index) => {
    await pause(Math.max(0, startedAt + (index * 1_000) / perSecond - performance.now()));
    return await begin(item);
  });
  return await Promise.all(begun);
}
