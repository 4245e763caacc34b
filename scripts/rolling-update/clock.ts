/** Time as the roller sees it; the simulator brings its own. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  sleep(ms: number): Promise<void>;
  /** A number in [0, 1), for jitter. */
  random(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  random: () => Math.random(),
};

/** The delay, moved by up to a fifth in either direction, so that several rollers do not poll in step. */
export function jittered(clock: Clock, ms: number): number {
  return Math.round(ms * (0.8 + 0.4 * clock.random()));
}
