import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** What a process has used since it began, and holds now. */
export interface ProcessUsage {
  readonly cpuMs: number;
  readonly residentMiB: number;
}

let ticksPerSecond: number | undefined;

/** From /proc, see proc_pid_stat(5) and proc_pid_status(5). Throws when there is no such process. */
export function usageOf(pid: number): ProcessUsage {
  ticksPerSecond ??= Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return { cpuMs: (ticks * 1_000) / ticksPerSecond, residentMiB: Number(kibibytes) / 1_024 };
}
