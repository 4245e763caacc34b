import type { ManifestNode } from "./manifest";

/** One node's answer, with the reason when it is not well. */
export type NodeHealth = { readonly ok: true } | { readonly ok: false; readonly reason: string };

export const HEALTHY: NodeHealth = { ok: true };
export const unhealthy = (reason: string): NodeHealth => ({ ok: false, reason });

/**
 * What the application says about its own cluster. Every method answers within its own deadline and never throws for a
 * node that is down: that is an answer.
 */
export interface ClusterProbe {
  /** One answer per node asked. */
  health(nodes: readonly ManifestNode[]): Promise<ReadonlyMap<string, NodeHealth>>;
  /** Would the cluster keep serving if these nodes went away together now? */
  canRoll(going: readonly ManifestNode[], all: readonly ManifestNode[]): Promise<NodeHealth>;
  /** Id of the node that leads, undefined when there is none or it is not known. */
  leader(nodes: readonly ManifestNode[]): Promise<string | undefined>;
}

/** For a cluster without an application check: the group's view of a node decides alone. */
export const noProbe: ClusterProbe = {
  health: async (nodes) => new Map(nodes.map(({ id }) => [id, HEALTHY])),
  canRoll: async () => HEALTHY,
  leader: async () => undefined,
};

/** What a drain is told about the node that will go. */
export interface DrainTarget {
  readonly nodeId: string;
  readonly instanceId: string;
  readonly ip: string;
  readonly group: string;
}

/** Takes a node out of use before its instance goes: moves leadership away, stops the member cleanly. */
export interface Drain {
  /** @throws when the node could not be drained. */
  drain(target: DrainTarget): Promise<void>;
  /** Puts a node back that was drained, or partly drained, and then not replaced. */
  undrain(target: DrainTarget): Promise<void>;
}
