import type { FakeMembers } from "./fake-members";

export const COMMAND_CONFIG = "/etc/kafka/admin.properties";
const NOW_MS = 1_700_000_000_000;

/**
 * Kafka's tools on a cluster of brokers that are controllers, too. It knows exactly the commands below, and prints what
 * these releases print: 3.3 and 3.9 differ in the columns of the quorum and of a partition.
 */
export function runKafkaTool(release: "3.3" | "3.9") {
  return (members: FakeMembers, member: number, command: readonly string[]): string => {
    const [program, flag, server, config, file, ...rest] = command;
    const asked = `${program} ${flag} ${config} ${rest.join(" ")}`;
    if (server !== `10.0.0.1${member}:9092`) throw new Error(`Connection to ${server} could not be established`);
    if (file !== COMMAND_CONFIG) throw new Error(`SaslAuthenticationException: no credentials in ${file}`);
    switch (asked) {
      case "/opt/kafka/bin/kafka-metadata-quorum.sh --bootstrap-server --command-config describe --replication":
        return replication(members, release);
      case "/opt/kafka/bin/kafka-topics.sh --bootstrap-server --command-config --describe":
        return topics(members, release);
      default:
        throw new Error(`unrecognized arguments: ${asked}`);
    }
  };
}

function replication(members: FakeMembers, release: string): string {
  if (members.leader === undefined) throw new Error("TimeoutException: Timed out waiting for a node assignment");
  const directory = release === "3.9" ? ["DirectoryId"] : [];
  const heads = [
    "NodeId",
    ...directory,
    "LogEndOffset",
    "Lag",
    "LastFetchTimestamp",
    "LastCaughtUpTimestamp",
    "Status",
  ];
  const rows = members.all.map((member) => {
    const atMs = members.serves(member) ? NOW_MS : NOW_MS - 60_000;
    const uuid = release === "3.9" ? ["AAAAAAAAAAAAAAAAAAAAAA"] : [];
    const status = member === members.leader ? "Leader" : "Follower";
    return [member, ...uuid, 1_204, 0, atMs, atMs, status];
  });
  return [heads, ...rows].map((cells) => cells.map((cell) => `${cell}`.padEnd(16)).join("\t")).join("\n");
}

function topics(members: FakeMembers, release: string): string {
  const tail = release === "3.9" ? "\tElr: \tLastKnownElr: " : "";
  const inSync = (replicas: readonly number[]) => replicas.filter((member) => members.serves(member)).join(",");
  const partition = (topic: string, number: number, replicas: readonly number[]) =>
    `\tTopic: ${topic}\tPartition: ${number}\tLeader: ${replicas[0]}\tReplicas: ${replicas.join(",")}\tIsr: ${inSync(replicas)}${tail}`;
  return [
    "Topic: orders\tTopicId: 3IIuW9HdQOiRYR5ncPNbAA\tPartitionCount: 2\tReplicationFactor: 3\tConfigs: min.insync.replicas=2,segment.bytes=1073741824",
    partition("orders", 0, [0, 1, 2]),
    partition("orders", 1, [2, 0, 1]),
    "Topic: scratch\tTopicId: mD1oU0v5Qn6eyC7QvYx8bQ\tPartitionCount: 1\tReplicationFactor: 1\tConfigs: segment.bytes=1073741824",
    partition("scratch", 0, [0]),
  ].join("\n");
}
