import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { reason } from "../../host/log";

/** A process that no other can be taken for: numbers are given out again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** As `startOf` told it; undefined of one that it knew nothing of. */
  readonly start: string | undefined;
}

/**
 * When a process started, in the system's own words: together with the pid it names one process for good. Undefined when
 * there is none, or only its remains.
 *
 * @throws Error when the system does not say, for want of files or of rights: that is no sign of an end.
 */
export function startOf(pid: number): string | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ESRCH") throw untold(pid, error);
    return process.platform === "linux" ? undefined : startByPs(pid);
  }
}

/** Whether it may still be that process: as long as it is not known to have ended. */
export function mayLive({ pid, start }: ProcessIdentity): boolean {
  try {
    return start !== undefined && startOf(pid) === start;
  } catch {
    return true;
  }
}

/** Says of the process that has this number now whether it may still live. */
export function watchOf(pid: number): () => boolean {
  let known: ProcessIdentity | undefined;
  const look = (): boolean => {
    try {
      known ??= { pid, start: startOf(pid) };
    } catch {
      return true;
    }
    return mayLive(known);
  };
  look();
  return look;
}

/** The 22nd field, in clock ticks since the boot, see proc(5); the second may hold spaces and parentheses. */
export function parseStat(stat: string): string | undefined {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

/** Status with which ps says that it found none, see ps(1). */
const NONE_FOUND = 1;

function startByPs(pid: number): string | undefined {
  try {
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || undefined;
  } catch (error) {
    if ((error as { status?: unknown }).status === NONE_FOUND) return undefined;
    throw untold(pid, error);
  }
}

const untold = (pid: number, cause: unknown): Error =>
  new Error(`whether process ${pid} lives cannot be told: ${reason(cause)}`);
