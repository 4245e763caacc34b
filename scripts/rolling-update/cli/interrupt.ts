import { Interrupts, SIGNALS } from "../../interrupts";
import type { StopRequest } from "../roll-ports";

/** What is said to each of two interrupts. */
export interface InterruptWords {
  readonly first: string;
  readonly second: string;
}

const ROLL: InterruptWords = {
  first: "stopping after the current node; interrupt again, after a second, to stop now",
  second: "stopping now; `holdfast roll resume` goes on",
};

/**
 * First Ctrl-C, or a terminal that is closed: stop when it suits the work. Second, as `Interrupts` counts: stop now.
 *
 * @param words what that means for the work. @default - for a roll
 * @returns a way to stop listening.
 */
export function onInterrupt(stop: StopRequest, stderr: NodeJS.WriteStream, words = ROLL): () => void {
  const interrupts = new Interrupts();
  const ask = (level: StopRequest["level"], text: string) => () => {
    stop.level = level;
    stderr.write(`${text}\n`);
  };
  interrupts.first.addEventListener("abort", ask("after this node", words.first));
  interrupts.second.addEventListener("abort", ask("now", words.second));
  const interrupt = () => interrupts.hear();
  for (const signal of SIGNALS) process.on(signal, interrupt);
  return () => {
    for (const signal of SIGNALS) process.off(signal, interrupt);
  };
}
