/** How much of something a test does: little where it is one of many, all of it under `npm run test:long`. */
export function longForm(short: number, long: number): number {
  return process.env["HOLDFAST_LONG"] ? long : short;
}

/** Tests that run under `npm run test:long` and `npm run lab` alone: each takes minutes of real machines. */
export function inLongForm(define: () => void): void {
  if (process.env["HOLDFAST_LONG"]) define();
}
