import { openSync, writeSync } from "node:fs";
import type { DestinationStream } from "pino";

/**
 * A file that log lines are added to, readable by its owner alone; written before the call returns, so that a kill loses nothing. A line for
 * which there is no room is lost.
 */
export function fileDestination(path: string): DestinationStream {
  const file = openSync(path, "a", 0o600);
  return {
    write: (line) => {
      try {
        writeSync(file, line);
      } catch {
        // The fleet goes on.
      }
    },
  };
}
