import { systemClock } from "../clock";
import type { Process } from "./virtual-clock";

/** This process, which nobody kills, in real time. */
export const thisProcess: Process = {
  ...systemClock,
  alive: true,
  kill: () => {
    throw new Error("this process does not end itself");
  },
  whileAlive: (promise) => promise,
};
