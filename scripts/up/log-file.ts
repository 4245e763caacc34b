import { openSync } from "node:fs";
import { destination } from "pino";

/** A file that log lines are added to, readable by its owner alone; written before the call returns, so that a kill loses nothing. */
export function fileDestination(path: string): ReturnType<typeof destination> {
  return destination({ fd: openSync(path, "a", 0o600), sync: true });
}
