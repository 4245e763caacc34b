import { connect } from "node:net";
import * as z from "zod/mini";
import type { ManifestNode } from "../manifest";
import { HEALTHY, type NodeHealth, unhealthy } from "../probe";
import type { ClusterAdapter, Surroundings } from "./cluster-adapter";
import { handOver } from "./hand-over";
import { answersOf, healthOf, quorumStays } from "./quorum";
import { memberSettings } from "./settings";

export const zookeeperSettingsSchema = z.strictObject({
  kind: z.literal("zookeeper"),
  port: z._default(z.int().check(z.positive()), 2181),
  ...memberSettings({ stop: ["systemctl", "stop", "zookeeper"], start: ["systemctl", "start", "zookeeper"] }),
});
export type ZooKeeperSettings = z.output<typeof zookeeperSettingsSchema>;

/**
 * ZooKeeper 3.5 and later through the four-letter word `srvr`, the one that is allowed unless told otherwise. A server
 * answers it with its mode only while it is part of a quorum and has synchronised with the leader.
 * https://zookeeper.apache.org/doc/r3.8.4/zookeeperAdmin.html#sc_4lw
 *
 * The protocol has no request to move leadership: a leader that stops cleanly closes its connections, and the followers
 * elect at once instead of waiting for a timeout.
 */
export function zookeeperCluster(surroundings: Surroundings, settings: ZooKeeperSettings): ClusterAdapter {
  const mode = async (node: ManifestNode) => modeIn(await srvr(node.ip, settings.port, settings.timeoutMs));

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

/** @throws Error with the server's own words when it tells no mode. */
function modeIn(answer: string): string {
  const mode = /^Mode: (\w+)$/m.exec(answer)?.[1];
  if (mode !== undefined) return mode;
  const [words = ""] = answer.trim().split("\n");
  throw new Error(words === "" ? "closes the connection without an answer" : words);
}

function srvr(host: string, port: number, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const socket = connect({ host, port, signal }, () => socket.write("srvr"));
    let text = "";
    socket.setEncoding("utf8").on("data", (part) => {
      text += part;
    });
    socket
      .on("end", () => resolve(text))
      .on("error", (error) => {
        reject(signal.aborted ? new Error(`no answer within ${timeoutMs} ms`) : error);
      });
  });
}
