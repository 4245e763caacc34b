import type { Scheduler } from "../../emulator/scheduler";
import type { Clock } from "../clock";

/** A process of the simulation: its clock, and the kill -9 that ends it. */
export interface Process extends Clock {
  readonly alive: boolean;
  /** From here on nothing of this process runs: what it awaits never answers. */
  kill(): void;
  /** Resolves like the promise while the process lives; never once it is killed. */
  whileAlive<T>(promise: Promise<T>): Promise<T>;
}

interface Alarm {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/**
 * Time that passes only when everybody sleeps. Events of the same moment run in the order they were made, so a run is
 * a function of its seed.
 */
export class VirtualClock implements Scheduler {
  #now = 0;
  #made = 0;
  readonly #alarms: Alarm[] = [];

  constructor(private readonly random: () => number) {}

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): void {
    const alarm = { at: this.#now + Math.max(0, ms), order: this.#made++, run };
    let hole = this.#alarms.push(alarm) - 1;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = this.#alarms[parent] as Alarm;
      if (before(above, alarm)) break;
      this.#alarms[hole] = above;
      hole = parent;
    }
    this.#alarms[hole] = alarm;
  }

  process(): Process {
    let alive = true;
    const never = new Promise<never>(() => {});
    return {
      get alive() {
        return alive;
      },
      kill: () => {
        alive = false;
      },
      now: () => this.now(),
      random: this.random,
      sleep: (ms) =>
        new Promise((resolve) => {
          this.after(ms, () => {
            if (alive) resolve();
          });
        }),
      whileAlive: (promise) =>
        promise.then(
          (value) => (alive ? value : never),
          (error) => (alive ? Promise.reject(error) : never),
        ),
    };
  }

  /** Lets time pass until the promise settles, or until `limitMs` have passed. */
  async run<T>(promise: Promise<T>, limitMs = Number.POSITIVE_INFINITY): Promise<T | "still running"> {
    const end = this.#now + limitMs;
    let settled: { value: T } | { error: unknown } | undefined;
    promise.then(
      (value) => {
        settled = { value };
      },
      (error) => {
        settled = { error };
      },
    );
    let outcome: { readonly over: T | "still running" } | { readonly error: unknown } | undefined;
    const step = () => {
      if (outcome) return;
      try {
        if (settled) outcome = "error" in settled ? settled : { over: settled.value };
        else if (!this.#advance(end)) outcome = { over: "still running" };
      } catch (error) {
        outcome = { error };
      }
    };
    while (!outcome) await inTurns(step);
    if ("error" in outcome) throw outcome.error;
    return outcome.over;
  }

  /** Runs the next event; false when there is none up to `end`. */
  #advance(end: number): boolean {
    const next = this.#alarms[0];
    if (!next || next.at > end) {
      if (Number.isFinite(end)) this.#now = end;
      return false;
    }
    this.#pop();
    this.#now = next.at;
    next.run();
    return true;
  }

  #pop(): void {
    const last = this.#alarms.pop() as Alarm;
    const size = this.#alarms.length;
    if (size === 0) return;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= size) break;
      if (child + 1 < size && before(this.#alarms[child + 1] as Alarm, this.#alarms[child] as Alarm)) child++;
      const below = this.#alarms[child] as Alarm;
      if (before(last, below)) break;
      this.#alarms[hole] = below;
      hole = child;
    }
    this.#alarms[hole] = last;
  }
}

const STEPS_A_TURN = 32;

/**
 * Runs the step many times, everything that became ready in between having run before the next. Immediates of one turn of
 * the event loop do that, for a fraction of what a turn for each would cost.
 */
function inTurns(step: () => void): Promise<void> {
  return new Promise((resolve) => {
    for (let count = 0; count < STEPS_A_TURN; count++) setImmediate(step);
    setImmediate(resolve);
  });
}

function before(a: Alarm, b: Alarm): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
