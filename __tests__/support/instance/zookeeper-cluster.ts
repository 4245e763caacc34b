import type { Machine } from "../../../scripts/emulator/machines";
import { zookeeperSettingsSchema } from "../../../scripts/rolling-update/clusters/zookeeper";
import type { ClusterKind } from "./cluster-life";
import { type LogLine, momentOf, wholeJournal } from "./member-log";
import { ZooKeeperSession } from "./zookeeper-client";
import { FIRST, ROOT, ZooKeeperWriter } from "./zookeeper-writer";

const ATTEMPT_MS = 30_000;

export const ZOOKEEPER: ClusterKind = {
  settings: zookeeperSettingsSchema.parse({ kind: "zookeeper" }),
  writer: (addresses) => new ZooKeeperWriter(addresses),
  // A server answers reads from what it holds itself.
  holdsFirstWrite: async (_machine, address) => {
    const session = await ZooKeeperSession.open(address, ATTEMPT_MS);
    try {
      return (await session.children(ROOT)).includes(FIRST);
    } finally {
      session.close();
    }
  },
  // The server itself says nothing when it is told to end: systemd says that it tells it.
  stopped: async (machine) => momentOf(await wholeJournal(machine, "zookeeper"), /^Stopping zookeeper/),
  served: async (machine) => momentOf(await serverLog(machine), /Peer state changed: (following|leading) - broadcast/),
};

/** Lines such as `2026-01-02 03:04:05,678 - INFO  [main:QuorumPeer@1] - …`, in the machine's time: UTC. */
async function serverLog(machine: Machine): Promise<LogLine[]> {
  const log = await machine.exec("cat", "/var/log/zookeeper/zookeeper.log");
  return log.split("\n").flatMap((line) => {
    const [, date, time, milliseconds, text = ""] = /^(\S+) (\S+),(\d{3}) - (.*)$/.exec(line) ?? [];
    return date === undefined ? [] : { atMs: Date.parse(`${date}T${time}.${milliseconds}Z`), text };
  });
}
