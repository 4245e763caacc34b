import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fieldsFromState } from "../../proc-stat";

const POLL_MS = 20;
const DEADLINE_MS = 30_000;

/** A process for as long as it lives: pids are used again, pids with their start times are not. */
export async function identityOf(pid: number): Promise<string> {
  return `${pid} ${await startTime(pid)}`;
}

/** Whether the process of an {@link identityOf} still runs. */
export async function lives(identity: string): Promise<boolean> {
  const [pid, since] = identity.split(" ");
  return since !== undefined && (await startTime(Number(pid))) === since;
}

/** Ends the process of an {@link identityOf}, if it still runs. @throws Error where it does not end. */
export async function endProcess(identity: string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (await lives(identity)) {
    if (performance.now() > deadline) throw new Error(`process ${identity} does not end`);
    try {
      process.kill(Number.parseInt(identity, 10), "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    await sleep(POLL_MS);
  }
}

/** In clock ticks since the machine's start: field 22 of proc_pid_stat(5); undefined where no such process is, or a zombie. */
async function startTime(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const [state, ...fields] = fieldsFromState(stat);
  return state === "Z" ? undefined : fields[18];
}
