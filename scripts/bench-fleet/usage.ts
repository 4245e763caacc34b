import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fieldsFromState } from "../proc-stat";

/** What a process has used since it began, and holds now. */
export interface ProcessUsage {
  readonly cpuMs: number;
  /** Of its children that ended. */
  readonly endedCpuMs: number;
  readonly residentMiB: number;
}

let ticksPerSecond: number | undefined;

/** From /proc, see proc_pid_stat(5) and proc_pid_status(5). Throws when there is no such process. */
export function usageOf(pid: number): ProcessUsage {
  ticksPerSecond ??= Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = fieldsFromState(stat);
  const ms = (at: number): number =>
    ((Number(fields[at]) + Number(fields[at + 1])) * 1_000) / (ticksPerSecond ?? Number.NaN);
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return { cpuMs: ms(11), endedCpuMs: ms(13), residentMiB: Number(kibibytes) / 1_024 };
}
