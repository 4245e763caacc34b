/** Time as the roller sees it; the simulator brings its own. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** @param signal ends it sooner, where the clock is that of the world */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** A number in [0, 1), for jitter. */
  random(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    }),
  random: () => Math.random(),
};

/** The delay, moved by up to a fifth in either direction, so that several rollers do not poll in step. */
export function jittered(clock: Clock, ms: number): number {
  return Math.round(ms * (0.8 + 0.4 * clock.random()));
}
