/**
 * How long a worker's agent waits before it asks again what was not answered, in ms. The agent's own are out of reach of this room; a test
 * holds these to them.
 */

/** A claim asks to be parked for so long. */
export const PARK_MS = 45_000;
/** A claim is given up when so long has passed without an answer. */
export const CLAIM_TIMEOUT_MS = PARK_MS + 10_000;

/** Of a heartbeat, where the lease is thirty seconds or more. */
export const BEAT_TIMEOUT_MS = 10_000;

/** @param failures how many claims in a row were not answered, from 1 */
export const claimAgainMs = (failures: number, random: () => number = Math.random): number =>
  jittered(250, failures, random);

const BEAT_BASE_MS = 500;
/** Of what is left of a lease. */
const WAITED = 1 / 3;

/**
 * The less is left of a lease, the sooner it is asked for.
 *
 * @param failures how many heartbeats in a row were not answered, from 1
 * @param periodMs what the last answer asked for; 0 where there was none
 * @param leftMs of the lease; not above 0 where it has run out, or there was none
 */
export function beatAgainMs(
  failures: number,
  periodMs: number,
  leftMs: number,
  random: () => number = Math.random,
): number {
  const usualMs = Math.max(periodMs, jittered(BEAT_BASE_MS, failures, random));
  return leftMs > 0 ? Math.min(usualMs, Math.max(BEAT_BASE_MS, leftMs * WAITED)) : usualMs;
}

const jittered = (baseMs: number, failures: number, random: () => number): number =>
  random() * Math.min(10_000, baseMs * 2 ** Math.min(failures - 1, 30));
