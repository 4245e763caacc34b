import * as z from "zod/mini";
import type { ManifestNode } from "../manifest";
import { HEALTHY, type NodeHealth, unhealthy } from "../probe";
import type { ClusterAdapter, MemberSettings, Surroundings } from "./cluster-adapter";
import { handOver } from "./hand-over";
import { type Partition, partitionsIn, type QuorumMember, quorumIn } from "./kafka-output";
import { channelOf, firstAnswer } from "./on-node";
import { quorumStays } from "./quorum";
import { memberSettings } from "./settings";

export const kafkaSettingsSchema = z.strictObject({
  kind: z.literal("kafka"),
  /** Port of the listener the tools speak to, on the node they run on. */
  port: z._default(z.int().check(z.positive()), 9092),
  /** Folder of kafka-topics.sh and kafka-metadata-quorum.sh on the nodes. */
  bin: z._default(z.string().check(z.minLength(1)), "/opt/kafka/bin"),
  /** Properties file on the nodes with what the tools need to log in. */
  commandConfig: z.optional(z.string()),
  /** Kafka's node.id by node id. @default the node id as a number */
  nodeIds: z.optional(z.record(z.string(), z.int().check(z.nonnegative()))),
  /** A controller that was not caught up for longer is not well. */
  maxLagMs: z._default(z.int().check(z.positive()), 10_000),
  ...memberSettings({ stop: ["systemctl", "stop", "kafka"], start: ["systemctl", "start", "kafka"] }),
  /** A Java program that starts and asks. */
  timeoutMs: z._default(z.int().check(z.positive()), 30_000),
});
export type KafkaSettings = Omit<z.output<typeof kafkaSettingsSchema>, keyof MemberSettings> & MemberSettings;

/**
 * Kafka under KRaft 3.3 and later, every node broker and controller at once, through Kafka's own tools on the nodes.
 * https://kafka.apache.org/documentation/#kraft_metadata_tool
 *
 * No tool moves the active controller. A node that stops cleanly hands its partitions to others first (controlled
 * shutdown) and resigns from the quorum, which elects at once.
 */
export function kafkaCluster(surroundings: Surroundings, settings: KafkaSettings): ClusterAdapter {
  const channel = channelOf(surroundings, "kafka");
  const kafkaIdOf = (node: ManifestNode): number => {
    const id = settings.nodeIds?.[node.id] ?? Number(node.id);
    if (Number.isInteger(id)) return id;
    throw new Error(`node ${node.id} is no number: give its node.id in nodeIds`);
  };
  const kafkaIds = (nodes: readonly ManifestNode[]) => new Set(nodes.map(kafkaIdOf));

  const tool = (on: ManifestNode, program: string, ...args: string[]): Promise<string> => {
    const login = settings.commandConfig === undefined ? [] : ["--command-config", settings.commandConfig];
    const command = [
      `${settings.bin}/${program}`,
      "--bootstrap-server",
      `${on.ip}:${settings.port}`,
      ...login,
      ...args,
    ];
    return channel.run(on.id, command, settings.timeoutMs);
  };
  const quorum = (nodes: readonly ManifestNode[]): Promise<readonly QuorumMember[]> =>
    firstAnswer(nodes, async (node) =>
      quorumIn(await tool(node, "kafka-metadata-quorum.sh", "describe", "--replication")),
    );
  const partitions = (nodes: readonly ManifestNode[]): Promise<readonly Partition[]> =>
    firstAnswer(nodes, async (node) => partitionsIn(await tool(node, "kafka-topics.sh", "--describe")));

  /** Well as a controller: it fetches from the leader and is not far behind. */
  const isCaughtUp = (member: QuorumMember, members: readonly QuorumMember[]): boolean => {
    const leader = members.find(({ status }) => status === "Leader");
    if (!leader) return false;
    return member === leader || leader.caughtUpMs - member.caughtUpMs <= settings.maxLagMs;
  };

  /** A broker that is down is in no partition's replicas in sync. */
  const wellness = (node: ManifestNode, members: readonly QuorumMember[], all: readonly Partition[]): NodeHealth => {
    const id = kafkaIdOf(node);
    const member = members.find(({ nodeId }) => nodeId === id);
    if (!member) return unhealthy(`node.id ${id} is not part of the metadata quorum`);
    if (!isCaughtUp(member, members)) return unhealthy("its controller lags behind the quorum");
    const lagging = all.filter(({ replicas, inSync }) => replicas.includes(id) && !inSync.includes(id));
    return lagging.length === 0
      ? HEALTHY
      : unhealthy(`${lagging.length} of its partitions are not in sync, the first is ${lagging[0]?.name}`);
  };

  const probe = {
    health: async (nodes: readonly ManifestNode[]) => {
      try {
        const [members, all] = await Promise.all([quorum(surroundings.nodes), partitions(surroundings.nodes)]);
        return new Map(nodes.map((node) => [node.id, wellness(node, members, all)]));
      } catch (error) {
        return new Map(nodes.map(({ id }) => [id, unhealthy((error as Error).message)]));
      }
    },
    canRoll: async (going: readonly ManifestNode[], all: readonly ManifestNode[]) => {
      const staying = all.filter((node) => !going.includes(node));
      try {
        const [members, every] = await Promise.all([quorum(staying), partitions(staying)]);
        const leaving = kafkaIds(going);
        const short = every.find((partition) => fallsShort(partition, leaving));
        if (short) {
          const { name, inSync, minInSync } = short;
          return unhealthy(`${name} would have fewer than ${minInSync} replicas in sync (has ${inSync.join(", ")})`);
        }
        const nodeOf = new Map(all.map((node) => [kafkaIdOf(node), node.id]));
        const voters = members.filter(({ status }) => status !== "Observer");
        const names = new Map(voters.map((voter) => [nodeOf.get(voter.nodeId) ?? `node.id ${voter.nodeId}`, voter]));
        return quorumStays(going, [...names.keys()], (name) => {
          const voter = names.get(name);
          return voter !== undefined && isCaughtUp(voter, members);
        });
      } catch (error) {
        return unhealthy((error as Error).message);
      }
    },
    leader: async (nodes: readonly ManifestNode[]) => {
      const members = await quorum(nodes).catch(() => []);
      const leading = members.find(({ status }) => status === "Leader");
      return nodes.find((node) => kafkaIdOf(node) === leading?.nodeId)?.id;
    },
  };
  return { probe, drain: handOver(surroundings, probe, settings) };
}

/** A partition that has no more replicas than it must have in sync is interrupted by any roll, as its owner chose. */
function fallsShort({ replicas, inSync, minInSync }: Partition, leaving: ReadonlySet<number>): boolean {
  const touched = replicas.some((id) => leaving.has(id));
  const left = inSync.filter((id) => !leaving.has(id)).length;
  return touched && replicas.length > minInSync && left < minInSync;
}
