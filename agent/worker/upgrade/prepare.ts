import { existsSync } from "node:fs";
import { chmod, mkdir, readlink } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { replaceSymlink } from "../../host/files";
import type { Log } from "../../host/log";
import { linkedFile } from "./linked-program";
import { trialFiles } from "./trial";
import { AGENT_ENDED, rollBack } from "./trial-watch";

/** A program that the boot has installed, by its link, and the link through which it is started and upgraded. */
export interface Upgradable {
  readonly installed: string;
  readonly link: string;
}

/**
 * Before systemd starts the agent: what it is started through leads to the boot's version where it leads nowhere; and the version that
 * was on trial and is to be started a second time, so has ended, is turned back.
 *
 * @param directory of the upgrades.
 * @throws Error when it is not known whether a version is on trial; the agent may start then, and its watcher goes on.
 */
export async function prepareStart(directory: string, programs: readonly Upgradable[], log: Log): Promise<void> {
  for (const { installed, link } of programs) {
    const target = await readlink(installed).catch(() => undefined);
    if (target === undefined || existsSync(link)) continue;
    await mkdir(dirname(link), { recursive: true });
    // Whatever the umask: a daemon runs as another user.
    await chmod(dirname(link), 0o755);
    await replaceSymlink(resolve(dirname(installed), target), link);
  }
  const files = trialFiles(directory);
  const trial = files.trial.read();
  if (trial?.state !== "trying" || linkedFile(trial.link) !== trial.to) return;
  if (trial.begun) await rollBack(trial, AGENT_ENDED, files, log);
  else await files.trial.write({ ...trial, begun: true });
}
