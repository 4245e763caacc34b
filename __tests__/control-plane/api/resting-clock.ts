/** Has it be ten minutes later, by the clock by which requests are counted, at each call. Restored with `jest.restoreAllMocks`. */
export function restBetweenRequests(): () => void {
  const now = performance.now.bind(performance);
  let restedMs = 0;
  jest.spyOn(performance, "now").mockImplementation(() => now() + restedMs);
  return () => {
    restedMs += 600_000;
  };
}
