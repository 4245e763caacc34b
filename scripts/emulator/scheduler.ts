/** What the rules of an emulated AWS need of time: virtual in the rolling update's simulator, real in the server. */
export interface Scheduler {
  /** Milliseconds, never going back. */
  now(): number;
  after(ms: number, run: () => void): void;
}

/** Real time. Nothing that is planned keeps the program alive, and nothing runs after {@link RealTime.stop}. */
export interface RealTime extends Scheduler {
  stop(): void;
}

/** A longer delay than this overflows the timers of Node.js. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

export function realTime(): RealTime {
  const planned = new Set<NodeJS.Timeout>();
  let stopped = false;
  return {
    now: () => Date.now(),
    after: (ms, run) => {
      if (stopped) return;
      const timer = setTimeout(
        () => {
          planned.delete(timer);
          run();
        },
        Math.min(Math.max(0, ms), LONGEST_DELAY_MS),
      );
      timer.unref();
      planned.add(timer);
    },
    stop: () => {
      stopped = true;
      for (const timer of planned) clearTimeout(timer);
      planned.clear();
    },
  };
}
