import { writeFile } from "node:fs/promises";
import { retry } from "../../host/waiting";

/** How far a daemon yields to the agent that looks after it, and after its lease: it has a tenth of the agent's weight. */
export const NICENESS = 10;

/** The system listens to one such wish in a tenth of a second, unless it is root's. */
const BACKOFF = { baseMs: 200, capMs: 2_000 };

/**
 * Has the session that a daemon leads yield, too. Linux can give each session the same share, and a process's own niceness counts
 * within its session alone. Where there is no such thing, nothing happens.
 * https://man7.org/linux/man-pages/man7/sched.7.html ("The autogroup feature")
 *
 * @param signal ends the attempts: the daemon has ended, and its number may become another's
 */
export async function yieldAsSession(pid: number, signal: AbortSignal): Promise<void> {
  const wish = () => writeFile(`/proc/${pid}/autogroup`, `${NICENESS}`, { flag: "r+" });
  await retry(wish, { backoff: BACKOFF, retryable: isBusy, signal }).catch(() => {});
}

const isBusy = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === "EAGAIN";
