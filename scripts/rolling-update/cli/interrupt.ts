import type { StopRequest } from "../roll-ports";

/** First Ctrl-C: stop after the current node. Second: stop now; the journal resumes. Gives back a way to stop listening. */
export function onInterrupt(stop: StopRequest, stderr: NodeJS.WriteStream): () => void {
  const interrupt = () => {
    stop.level = stop.level === "go on" ? "after this node" : "now";
    stderr.write(
      stop.level === "now"
        ? "stopping now; `holdfast roll resume` goes on\n"
        : "stopping after the current node; interrupt again to stop now\n",
    );
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  return () => {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  };
}
