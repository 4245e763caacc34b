/**
 * Drops the first key of a map that has become one too many. Only then is it looked for: to find it takes as long as keys were deleted
 * before it.
 */
export function keepAtMost(most: number, map: Map<string, unknown>): void {
  if (map.size <= most) return;
  const [first] = map.keys();
  if (first !== undefined) map.delete(first);
}
