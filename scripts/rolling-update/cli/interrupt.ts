import { Interrupts } from "../../interrupts";
import type { StopRequest } from "../roll-ports";

const AFTER_NODE = "stopping after the current node; interrupt again, after a second, to stop now";

/**
 * First Ctrl-C: stop when it suits the work, which `first` tells of. Second, as `Interrupts` counts: stop now; the journal resumes.
 * Gives back a way to stop listening.
 */
export function onInterrupt(stop: StopRequest, stderr: NodeJS.WriteStream, first = AFTER_NODE): () => void {
  const interrupts = new Interrupts();
  const ask = (level: StopRequest["level"], text: string) => () => {
    stop.level = level;
    stderr.write(`${text}\n`);
  };
  interrupts.first.addEventListener("abort", ask("after this node", first));
  interrupts.second.addEventListener("abort", ask("now", "stopping now; `holdfast roll resume` goes on"));
  const interrupt = () => interrupts.hear();
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  return () => {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  };
}
