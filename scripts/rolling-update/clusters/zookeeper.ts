import * as z from "zod/mini";
import type { ManifestNode } from "../manifest";
import { HEALTHY, type NodeHealth, unhealthy } from "../probe";
import type { ClusterAdapter, Surroundings } from "./cluster-adapter";
import { handOver } from "./hand-over";
import { answersOf, healthOf, quorumStays } from "./quorum";
import { memberSettings } from "./settings";
import { tlsFilesSchema } from "./tls-files";
import { adminMode, fourLetterMode } from "./zookeeper-mode";

export const zookeeperSettingsSchema = z.strictObject({
  kind: z.literal("zookeeper"),
  /** Client port, which is asked with a four-letter word. */
  port: z._default(z.int().check(z.positive()), 2181),
  /** Port of the AdminServer, which is asked instead. */
  adminPort: z.optional(z.int().check(z.positive())),
  /** Present: the port that is asked speaks TLS. */
  tls: z.optional(tlsFilesSchema),
  ...memberSettings({ stop: ["systemctl", "stop", "zookeeper"], start: ["systemctl", "start", "zookeeper"] }),
});
export type ZooKeeperSettings = z.output<typeof zookeeperSettingsSchema>;

/**
 * ZooKeeper 3.5 and later. A server tells its mode only while it is part of a quorum and has synchronised with the leader.
 *
 * The protocol has no request to move leadership: a leader that stops cleanly closes its connections, and the followers
 * elect at once instead of waiting for a timeout.
 */
export function zookeeperCluster(surroundings: Surroundings, settings: ZooKeeperSettings): ClusterAdapter {
  const { port, adminPort, timeoutMs, tls } = settings;
  const mode = adminPort === undefined ? fourLetterMode(port, timeoutMs, tls) : adminMode(adminPort, timeoutMs, tls);

  const wellness = async (node: ManifestNode): Promise<NodeHealth> => {
    const current = await mode(node);
    const isAlone = current === "standalone" && surroundings.nodes.length > 1;
    return isAlone ? unhealthy("runs standalone, not as a member of the ensemble") : HEALTHY;
  };
  const health = (nodes: readonly ManifestNode[]) => healthOf(nodes, wellness);

  const probe = {
    health,
    canRoll: async (going: readonly ManifestNode[], all: readonly ManifestNode[]) => {
      const modes = await answersOf(all, mode);
      /** A server that does not say that it only observes is counted as one that votes. */
      const voters = all.filter(({ id }) => modes.get(id) !== "observer").map(({ id }) => id);
      return quorumStays(going, voters, (voter) => {
        const current = modes.get(voter);
        return current === "leader" || current === "follower";
      });
    },
    leader: async (nodes: readonly ManifestNode[]) => {
      const leaders = [...(await answersOf(nodes, mode))].filter(([, current]) => current === "leader");
      return leaders.length === 1 ? leaders[0]?.[0] : undefined;
    },
  };
  return { probe, drain: handOver(surroundings, probe, settings) };
}
