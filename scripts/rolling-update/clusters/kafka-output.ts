/** A line of `kafka-metadata-quorum.sh describe --replication`. */
export interface QuorumMember {
  readonly nodeId: number;
  readonly status: "Leader" | "Follower" | "Observer";
  /** When it last had the whole log, milliseconds since the epoch by the leader's clock. */
  readonly caughtUpMs: number;
}

/** A partition in `kafka-topics.sh --describe`. */
export interface Partition {
  readonly name: string;
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
  readonly minInSync: number;
}

const STATUSES: readonly string[] = ["Leader", "Follower", "Observer"] satisfies QuorumMember["status"][];

/**
 * Columns are told by their headings: releases put others between them.
 * @throws Error when it is not such a table, or names no leader.
 */
export function quorumIn(output: string): QuorumMember[] {
  const rows = output.split("\n").map((line) => line.trim().split(/\s+/));
  const at = rows.findIndex((row) => row.includes("LastCaughtUpTimestamp"));
  const head = rows[at] ?? [];
  const column = (row: readonly string[], ...names: string[]) => row[head.findIndex((name) => names.includes(name))];
  const members = rows.slice(at + 1).flatMap((row): QuorumMember[] => {
    const status = column(row, "Status");
    if (status === undefined || !STATUSES.includes(status)) return [];
    return [
      {
        nodeId: Number(column(row, "NodeId", "ReplicaId")),
        status: status as QuorumMember["status"],
        caughtUpMs: Number(column(row, "LastCaughtUpTimestamp")),
      },
    ];
  });
  if (at === -1 || !members.some(({ status }) => status === "Leader")) {
    throw new Error(`the metadata quorum has no leader: ${lastLine(output)}`);
  }
  return members;
}

/**
 * `min.insync.replicas` stands with the topic where it is set, on it or on the brokers; otherwise it is 1.
 * https://kafka.apache.org/documentation/#topicconfigs_min.insync.replicas
 */
export function partitionsIn(output: string): Partition[] {
  const least = new Map<string, number>();
  const partitions: Partition[] = [];
  for (const line of output.split("\n")) {
    const fields = fieldsOf(line);
    const topic = fields.get("Topic");
    if (topic === undefined) continue;
    const number = fields.get("Partition");
    if (number === undefined) {
      least.set(topic, Number(/\bmin\.insync\.replicas=(\d+)/.exec(fields.get("Configs") ?? "")?.[1] ?? 1));
      continue;
    }
    partitions.push({
      name: `${topic}-${number}`,
      replicas: numbers(fields.get("Replicas")),
      inSync: numbers(fields.get("Isr")),
      minInSync: least.get(topic) ?? 1,
    });
  }
  return partitions;
}

/** `Name: value` parted by tabs, as the tool prints them. */
function fieldsOf(line: string): ReadonlyMap<string, string> {
  const pairs = line.split("\t").flatMap((field): [string, string][] => {
    const [, name, value] = /^\s*(\w+):\s*(.*?)\s*$/.exec(field) ?? [];
    return name === undefined || value === undefined ? [] : [[name, value]];
  });
  return new Map(pairs);
}

function numbers(list = ""): number[] {
  return list.split(",").filter(Boolean).map(Number);
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) || "it printed nothing";
}
