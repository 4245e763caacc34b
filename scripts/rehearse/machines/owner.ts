import { readFile } from "node:fs/promises";

/** A process for as long as it lives: pids are used again, pids with their start times are not. */
export async function identityOf(pid: number): Promise<string> {
  return `${pid} ${await startTime(pid)}`;
}

/** Whether the process of an {@link identityOf} still runs. */
export async function lives(identity: string): Promise<boolean> {
  const [pid, since] = identity.split(" ");
  return since !== undefined && (await startTime(Number(pid))) === since;
}

/** Ends the process of an {@link identityOf}, if it still runs. */
export async function endProcess(identity: string): Promise<void> {
  if (!(await lives(identity))) return;
  try {
    process.kill(Number.parseInt(identity, 10), "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** In clock ticks since the machine's start: field 22 of proc_pid_stat(5); undefined where no such process is. */
async function startTime(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The second field, a name in parentheses, may hold anything.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}
