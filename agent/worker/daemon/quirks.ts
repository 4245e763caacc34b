/** What a daemon does differently from what its API says, by program and version. */
export interface DaemonQuirks {
  /** At a start it drops and makes anew the replication slot that it left: changes in between are lost, a copy is due. */
  readonly inactiveSlotDropped: boolean;
  /** A failed setup leaves the process alive, idle, with `error_detail` set: it must be killed. */
  readonly failedSetupHangs: boolean;
  /** It connects to PostgreSQL without TLS, whatever the server demands. */
  readonly plainConnectionsOnly: boolean;
  /** `memory_bytes` is an estimate of its queue, not what it takes of the machine. */
  readonly memoryIsEstimated: boolean;
}

/** A program that runs jobs. */
export interface DaemonProgram {
  /** Whose contract it speaks: `dbmazz`, or `reference` for this project's own. */
  readonly kind: "dbmazz" | "reference";
  readonly version: string;
}

const NONE: DaemonQuirks = {
  inactiveSlotDropped: false,
  failedSetupHangs: false,
  plainConnectionsOnly: false,
  memoryIsEstimated: false,
};

/** By the first version that has them, newest first; a version before the first known one is taken for that one. */
const QUIRKS: Readonly<Record<DaemonProgram["kind"], readonly (readonly [since: string, quirks: DaemonQuirks])[]>> = {
  dbmazz: [
    [
      "2.0.0",
      { inactiveSlotDropped: true, failedSetupHangs: true, plainConnectionsOnly: true, memoryIsEstimated: true },
    ],
  ],
  reference: [["0.1.0", NONE]],
};

export function daemonQuirks({ kind, version }: DaemonProgram): DaemonQuirks {
  const known = QUIRKS[kind];
  const [, quirks] = known.find(([since]) => compareVersions(version, since) >= 0) ?? known.at(-1) ?? ["", NONE];
  return quirks;
}

/** Negative, zero or positive as `a` is older than, the same as or newer than `b`; a part that is no number counts as 0. */
export function compareVersions(a: string, b: string): number {
  const parts = (version: string) => version.split(/[.+-]/).map((part) => Number.parseInt(part, 10) || 0);
  const [left, right] = [parts(a), parts(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
