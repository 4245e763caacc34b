/** What a daemon does differently from what its API says, by program and version. */
export interface DaemonQuirks {
  /** At a start it drops and makes anew the replication slot that it left: changes in between are lost, a copy is due. */
  readonly inactiveSlotDropped: boolean;
  /** A failed setup leaves the process alive, idle, with `error_detail` set: it must be killed. */
  readonly failedSetupHangs: boolean;
  /** After a failed snapshot it streams on without the rows that are missing; only the text of its stage says so. */
  readonly failedSnapshotStreams: boolean;
  /** A stream that breaks ends it with status 0, as what it was started for does. */
  readonly exit0OnStreamError: boolean;
  /** It connects to PostgreSQL without TLS, whatever the server demands. */
  readonly plainConnectionsOnly: boolean;
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
  failedSnapshotStreams: false,
  exit0OnStreamError: false,
  plainConnectionsOnly: false,
};

/** By the first version that has them, newest first; a version before the first known one is taken for that one. */
const QUIRKS: Readonly<Record<DaemonProgram["kind"], readonly (readonly [since: string, quirks: DaemonQuirks])[]>> = {
  dbmazz: [
    [
      "2.0.0",
      {
        inactiveSlotDropped: true,
        failedSetupHangs: true,
        failedSnapshotStreams: true,
        exit0OnStreamError: true,
        plainConnectionsOnly: true,
      },
    ],
  ],
  reference: [["0.1.0", NONE]],
};

export function daemonQuirks({ kind, version }: DaemonProgram): DaemonQuirks {
  const known = QUIRKS[kind];
  const [, quirks] = known.find(([since]) => compareVersions(version, since) >= 0) ?? known.at(-1) ?? ["", NONE];
  return quirks;
}

/**
 * Negative, zero or positive as `a` is older than, the same as or newer than `b`: a pre-release is older than its release, see
 * https://semver.org/#spec-item-11. A part that should be a number and is none counts as 0.
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [versionOf(a), versionOf(b)];
  for (let i = 0; i < Math.max(left.numbers.length, right.numbers.length); i++) {
    const difference = (left.numbers[i] ?? 0) - (right.numbers[i] ?? 0);
    if (difference !== 0) return difference;
  }
  if (left.preRelease === "" || right.preRelease === "") {
    return Number(left.preRelease === "") - Number(right.preRelease === "");
  }
  return left.preRelease.localeCompare(right.preRelease, "en", { numeric: true });
}

function versionOf(text: string) {
  const [, release = "", preRelease = ""] = /^([^+-]*)-?([^+]*)/.exec(text) ?? [];
  return { numbers: release.split(".").map((part) => Number.parseInt(part, 10) || 0), preRelease };
}
