import type { Clock } from "../clock";
import type { ManifestNode } from "../manifest";
import type { NodeChannel } from "../node-channel";
import type { ClusterProbe, Drain } from "../probe";

/** One kind of cluster: how to ask it, and how a node leaves it without being missed. */
export interface ClusterAdapter {
  readonly probe: ClusterProbe;
  readonly drain: Drain;
}

/** What every adapter is given of its surroundings. */
export interface Surroundings {
  readonly nodes: readonly ManifestNode[];
  readonly clock: Clock;
  /**
   * To the nodes. Without it a member is stopped by the shutdown of its instance, and adapters that ask through a
   * program on the node cannot be made.
   */
  readonly channel?: NodeChannel;
}

/** What every adapter lets its deployment choose. */
export interface MemberSettings {
  /** Limit of one question to one node, milliseconds. */
  readonly timeoutMs: number;
  /** From the request to hand over until another node leads, and until the member has stopped, milliseconds. */
  readonly handOverTimeoutMs: number;
  /** Program that stops the member cleanly, run on its node. */
  readonly stop: readonly string[];
  /** Program that starts it again when its node stays after all. */
  readonly start: readonly string[];
}
