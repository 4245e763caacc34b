import { replaceSymlink } from "../../host/files";
import { type Log, reason } from "../../host/log";
import { type Backoff, retry, sleep } from "../../host/waiting";
import { mayLive, startOf } from "../daemon/process-identity";
import { machineInstant } from "../lease-keeper";
import { type Trial, type TrialFiles, type TrialSign, trialFiles } from "./trial";

const LOOK_MS = 200;
const PATIENCE_MS = 600_000;
const BACKOFF: Backoff = { baseMs: 200, capMs: 1_000 };

export const AGENT_ENDED = "the agent ended during the trial";

/**
 * Ends a trial: a process of the old version, which outlives the agent that installed the new one. The new version passes when at the
 * gate's end the same process that came up first is still there and holds a lease. Otherwise, and at once when that process ends, the link
 * is turned back and the agent ended, for its service manager to start the old one. While its files cannot be read, the trial is as they
 * said last.
 *
 * @throws Error when the trial could not be read once in ten minutes.
 */
export async function watchTrial(directory: string, log: Log): Promise<void> {
  const files = trialFiles(directory);
  if (isWatched(files)) return;
  await files.watcher.write({ pid: process.pid, start: startOf(process.pid) });
  const startedAt = performance.now();
  let trial = await insist(async () => files.trial.read(), "trial not read", log);
  let first: TrialSign | undefined;
  let sign: TrialSign | undefined;
  while (trial?.state === "trying") {
    sign = files.sign.readOr(sign);
    first ??= sign;
    const verdict = judged(trial, first, sign, performance.now() - startedAt);
    if (verdict === "healthy") {
      log.info("the new version is healthy", { program: trial.program, version: trial.version });
      await files.trial.write({ ...trial, state: "healthy" });
      break;
    }
    if (verdict !== undefined) {
      await rollBack(trial, verdict, files, log);
      break;
    }
    await sleep(LOOK_MS);
    trial = files.trial.readOr(trial);
  }
  await files.watcher.remove();
}

/** Tries for ten minutes what a trial cannot do without, saying each time how it failed. @throws what it failed with last. */
function insist<T>(work: () => Promise<T>, failed: string, log: Log): Promise<T> {
  const retryable = (error: unknown) => {
    log.error(failed, { reason: reason(error) });
    return true;
  };
  return retry(work, { backoff: BACKOFF, retryable, signal: AbortSignal.timeout(PATIENCE_MS) });
}

/** Whether a process that may be alive is known to watch over the trial: a second watcher does no harm. */
export function isWatched(files: TrialFiles): boolean {
  const watcher = files.watcher.readOr(undefined);
  return watcher !== undefined && mayLive(watcher);
}

/**
 * What is wrong with the new version; undefined while that is not yet known.
 *
 * @param first sign that the version gave, whose process must last.
 */
export function judged(
  { program, gateMs }: Pick<Trial, "program" | "gateMs">,
  first: TrialSign | undefined,
  sign: TrialSign | undefined,
  elapsedMs: number,
): "healthy" | string | undefined {
  if (first && !mayLive(first)) return AGENT_ENDED;
  if (program === "daemon" && sign && sign.failures > 0)
    return `${sign.failures} of the jobs that it was started for failed`;
  if (elapsedMs < gateMs) return undefined;
  const seconds = Math.round(gateMs / 1_000);
  if (!sign) return `the agent did not start within ${seconds} s`;
  if (!sign.lease) return `no heartbeat was answered within ${seconds} s`;
  const { sentAt, leaseMs } = sign.lease;
  return machineInstant().monotonicMs < sentAt.monotonicMs + leaseMs ? "healthy" : "its lease ran out during the trial";
}

/** Turns the link back and ends the agent that runs, if one does. @throws Error when that failed for ten minutes. */
export async function rollBack(trial: Trial, detail: string, files: TrialFiles, log: Log): Promise<void> {
  const { program, version, from, link } = trial;
  log.error("rolling back", { program, version, reason: detail });
  const turnBack = async () => {
    await replaceSymlink(from, link);
    // Read before the trial is over, when its files may be removed.
    const sign = files.sign.read();
    await files.trial.write({ ...trial, state: "rolled_back", detail });
    if (sign?.start !== undefined && startOf(sign.pid) === sign.start) process.kill(sign.pid, "SIGKILL");
  };
  await insist(turnBack, "not rolled back", log);
}
