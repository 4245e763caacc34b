import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { type Log, reason } from "../../host/log";
import { trialFiles } from "./trial";

/** Watches the trial of a directory in a process group of its own, which outlives this agent. */
export function watchDetached(agent: string, directory: string, log: Log): void {
  const output = openSync(trialFiles(directory).log, "a", 0o600);
  const args = [agent, "watch-upgrade", "--directory", directory];
  const child = spawn(process.execPath, args, { detached: true, stdio: ["ignore", output, output] });
  child.once("error", (error) => log.error("the trial is not watched", { reason: reason(error) }));
  child.unref();
  closeSync(output);
}
