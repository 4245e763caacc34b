import type { StopRequest } from "../roll-ports";

const AFTER_NODE = "stopping after the current node; interrupt again to stop now";

/**
 * First Ctrl-C: stop when it suits the work, which `first` tells of. Second: stop now; the journal resumes. Gives back a way to
 * stop listening.
 */
export function onInterrupt(stop: StopRequest, stderr: NodeJS.WriteStream, first = AFTER_NODE): () => void {
  const interrupt = () => {
    stop.level = stop.level === "go on" ? "after this node" : "now";
    stderr.write(`${stop.level === "now" ? "stopping now; `holdfast roll resume` goes on" : first}\n`);
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  return () => {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  };
}
