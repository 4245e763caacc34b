import type { MemberProgram } from "../../rolling-update/simulator/member-process";

export interface EtcdPlace {
  readonly addresses: readonly string[];
  readonly clientPort: number;
  readonly peerPort: number;
  /** Directory of one folder per member, kept from one instance of its node to the next. */
  readonly directory: string;
  /** How long a follower does without a word of the leader. @default etcd's own, 1 s */
  readonly electionTimeoutMs?: number;
}

/** One member of an etcd cluster whose addresses are fixed: what is in its directory tells it whether it is new. */
export function etcdMember(place: EtcdPlace, index: number): MemberProgram {
  const { addresses, clientPort, peerPort, directory, electionTimeoutMs = 1_000 } = place;
  const nameOf = (member: number) => `member-${member}`;
  const peer = (address: string) => `http://${address}:${peerPort}`;
  const client = `http://${addresses[index]}:${clientPort}`;
  const peers = addresses.map((address, member) => `${nameOf(member)}=${peer(address)}`).join(",");
  const own = peer(addresses[index] ?? "");
  const flags = {
    name: nameOf(index),
    "data-dir": `${directory}/${nameOf(index)}`,
    "listen-peer-urls": own,
    "initial-advertise-peer-urls": own,
    "listen-client-urls": client,
    "advertise-client-urls": client,
    "initial-cluster": peers,
    "initial-cluster-state": "new",
    "election-timeout": electionTimeoutMs,
    "heartbeat-interval": electionTimeoutMs / 10,
    "pre-vote": true,
  };
  return { command: "etcd", args: Object.entries(flags).map(([name, value]) => `--${name}=${value}`) };
}
