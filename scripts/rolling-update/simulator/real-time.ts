import { systemClock } from "../clock";
import type { Process, Scheduler } from "./virtual-clock";

/** The rules of the simulated AWS in real time, for nodes that really run. Nothing that is planned keeps a program alive. */
export const realTime: Scheduler = {
  now: () => systemClock.now(),
  after: (ms, run) => void setTimeout(run, ms).unref(),
};

/** This process, which nobody kills. */
export const thisProcess: Process = {
  ...systemClock,
  alive: true,
  kill: () => {
    throw new Error("this process does not end itself");
  },
  whileAlive: (promise) => promise,
};
