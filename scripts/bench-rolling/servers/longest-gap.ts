/** Longest time without one of the moments `atMs`, which rise, between two others, milliseconds. */
export function longestGapMs(atMs: readonly number[], fromMs: number, toMs: number): number {
  const moments = [fromMs, ...atMs.filter((at) => at >= fromMs && at <= toMs), toMs];
  return Math.max(...moments.slice(1).map((at, index) => at - (moments[index] ?? at)));
}
