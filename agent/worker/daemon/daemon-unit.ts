import { availableParallelism, totalmem } from "node:os";
import type { JobRef } from "../../../control-plane/protocol";
import { GUARD_UNIT, JOBS_SLICE, JOBS_TARGET } from "../paths";
import { HARDENING, JOBS_MEMORY_PERCENT } from "../units";

/** What one daemon may take of the machine. */
export interface UnitLimits {
  readonly memoryBytes: number;
  /** Of one processor's time. */
  readonly cpuPercent: number;
}

/** The name holds job and fence: one unit per grant, found again by any later life of the agent. */
export const unitName = ({ jobId, fence }: JobRef): string => `holdfast-job-${jobId}-${fence}.service`;

export const UNIT_PATTERN = "holdfast-job-*.service";

/** The grant of a unit's name; undefined for another unit. */
export function refOf(unit: string): JobRef | undefined {
  const [, jobId, fence] = /^holdfast-job-([0-9a-f-]{36})-(\d+)\.service$/.exec(unit) ?? [];
  return jobId && fence ? { jobId, fence: Number(fence) } : undefined;
}

/**
 * A slot's share of the machine: of memory an equal part of what the slice may take; of the processors an equal part, and
 * never less than a whole one, since the slice as a whole yields to the agent anyway.
 */
export function limitsOfSlot(
  slots: number,
  machine = { memoryBytes: totalmem(), processors: availableParallelism() },
): UnitLimits {
  return {
    memoryBytes: Math.floor((machine.memoryBytes * JOBS_MEMORY_PERCENT) / 100 / slots),
    cpuPercent: Math.max(100, Math.floor((machine.processors * 100) / slots)),
  };
}

/** The instance metadata service: whoever reaches it has the instance's role. */
const METADATA = "169.254.169.254 fd00:ec2::254";

/**
 * What is asked of systemd-run(1) for one daemon. A user of its own keeps the daemons from each other's environment; nothing secret
 * is in an argument or a property, which every user of the machine may read.
 *
 * A unit that may not outlive the lease is bound to the guard, see systemd.unit(5), BindsTo=: however the guard ends, systemd
 * ends the daemon, and it does not start it without one.
 */
export function unitArguments(props: {
  readonly ref: JobRef;
  readonly bound: boolean;
  readonly limits: UnitLimits;
  readonly environmentFile: string;
  /** Files by credential name. */
  readonly credentials: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}): string[] {
  const { ref, bound, limits, environmentFile, credentials, command } = props;
  const properties = [
    ...(bound ? [`BindsTo=${GUARD_UNIT}`, `After=${GUARD_UNIT}`] : []),
    // When the machine stops, the agent quiesces it first.
    `Before=${JOBS_TARGET}`,
    // Its exit status stays known until it is forgotten.
    "RemainAfterExit=yes",
    "DynamicUser=yes",
    `EnvironmentFile=${environmentFile}`,
    ...Object.entries(credentials).map(([name, path]) => `LoadCredential=${name}:${path}`),
    // Its own, and empty: dbmazz reads a .env file of the working directory and of those above it.
    "WorkingDirectory=/tmp",
    `MemoryMax=${limits.memoryBytes}`,
    "MemorySwapMax=0",
    `CPUQuota=${limits.cpuPercent}%`,
    "TasksMax=512",
    "OOMScoreAdjust=500",
    "TimeoutStopSec=1",
    `IPAddressDeny=${METADATA}`,
    "ProtectProc=invisible",
    ...HARDENING.trim().split("\n"),
  ];
  return [
    "--quiet",
    `--unit=${unitName(ref)}`,
    `--description=Holdfast job ${ref.jobId}, fence ${ref.fence}`,
    `--slice=${JOBS_SLICE}`,
    "--service-type=exec",
    ...properties.map((property) => `--property=${property}`),
    "--",
    ...command,
  ];
}

/** A file for EnvironmentFile=, see systemd.exec(5): a value in double quotes, in which four characters are escaped. */
export function environmentText(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}="${value.replace(/["\\`$]/g, "\\$&")}"\n`)
    .join("");
}
