import type { Clock } from "./clock";
import type { Cloud } from "./cloud";
import type { RollEvent } from "./events";
import type { ClusterProbe, Drain } from "./probe";
import type { RollError } from "./roll-error";
import type { Store } from "./store";

/** Everything outside the roller. */
export interface RollPorts {
  readonly cloud: Cloud;
  readonly clock: Clock;
  readonly store: Store;
  readonly probe: ClusterProbe;
  readonly drain?: Drain;
  readonly report: (event: RollEvent) => void;
}

/** What the operator wants of a running roll; a signal handler raises it. */
export interface StopRequest {
  level: "go on" | "after this node" | "now";
}

export interface RollOptions {
  /** Who rolls, for others to read: user, host, process. */
  readonly owner: string;
  readonly stop?: StopRequest;
  /** An operator accepts the first node of a roll that paused after it. */
  readonly confirmed?: boolean;
  /** Goes on with the journal's roll, in its direction, instead of beginning another. */
  readonly resume?: boolean;
  /** The instance this roller runs on, where that is one of the cluster: its node is left to another roller. */
  readonly runsOn?: string;
  /** Only these nodes are replaced, and replaced whether stale or not: the others are only watched. */
  readonly only?: readonly string[];
}

export interface Outcome {
  /** `handed over`: the next node is the one the roller runs on; a roller elsewhere has to resume. */
  readonly status: "done" | "paused" | "aborted" | "failed" | "rolled back" | "handed over";
  /** Nodes replaced and validated by this roll, this run or earlier ones. */
  readonly replaced: readonly string[];
  readonly error?: RollError;
  /** Nodes to go on from, the best first; of a roll that is handed over. */
  readonly successors?: readonly string[];
}
