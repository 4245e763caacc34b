/** Of a period: how much less or more it may be, so that no two workers stay together. */
const JITTER = 0.2;

/** Longest distance between the moments at which heartbeats are wanted, and of a period the share that it may be. */
const STEP_MS = 200;
const STEP_OF_PERIOD = 1 / 50;

/**
 * After how many whole milliseconds the next heartbeat is wanted of a worker whose last one arrived at `nowMs`: a period with jitter, cut to
 * a step of the clock that `nowMs` is of: of the time of day, so that copies whose clocks agree have the same steps. The heartbeats of
 * a step arrive together, as coalesced timers fire: they wake the server once, and one statement renews their leases.
 */
export function nextBeatMs(heartbeatMs: number, nowMs: number, random: () => number): number {
  const stepMs = Math.max(1, Math.min(STEP_MS, heartbeatMs * STEP_OF_PERIOD));
  const leastMs = heartbeatMs * (1 - JITTER) + stepMs;
  const mostMs = Math.max(leastMs, heartbeatMs * (1 + JITTER));
  const wantedAt = nowMs + leastMs + (mostMs - leastMs) * random();
  return Math.round(Math.floor(wantedAt / stepMs) * stepMs - nowMs);
}
