import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fieldsFromState } from "../proc-stat";

/** A process that no other can be taken for: numbers are given out again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it was started, in whatever way the system tells it. */
  readonly start: string;
}

/**
 * Undefined when there is no such process, or only its remains.
 *
 * @throws Error when the system does not say, for want of files or of rights: that is no sign of an end.
 */
export function identify(pid: number): ProcessIdentity | undefined {
  const start = startOf(pid);
  return start === undefined ? undefined : { pid, start };
}

/** @throws Error when the system does not say, see `identify`. */
export function isAlive({ pid, start }: ProcessIdentity): boolean {
  return startOf(pid) === start;
}

/** The agent's rule, whose files scripts may not import. */
function startOf(pid: number): string | undefined {
  if (process.platform !== "linux") return startByPs(pid);
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state, ...fields] = fieldsFromState(stat);
    // The 22nd of all is the start.
    return state === "Z" || state === "X" ? undefined : fields[18];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw untold(pid, error);
  }
}

/** Status with which ps says that it found none, see ps(1). */
const NONE_FOUND = 1;

function startByPs(pid: number): string | undefined {
  const found = spawnSync("ps", ["-o", "lstart=", "-p", `${pid}`], { encoding: "utf8", env: { LC_ALL: "C" } });
  if (found.status !== 0 && found.status !== NONE_FOUND) throw untold(pid, found.error ?? found.stderr);
  return found.stdout.trim() || undefined;
}

const untold = (pid: number, cause: unknown): Error =>
  new Error(`whether process ${pid} lives cannot be told: ${cause instanceof Error ? cause.message : cause}`);
