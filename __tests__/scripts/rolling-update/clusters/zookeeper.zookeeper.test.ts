import { mkdirSync, writeFileSync } from "node:fs";
import { zookeeperCluster, zookeeperSettingsSchema } from "../../../../scripts/rolling-update/clusters/zookeeper";
import type { MemberProgram } from "../../../../scripts/rolling-update/simulator/member-process";
import { conforms } from "../../../support/adapter-conformance";
import { eventually, type Place, startServers } from "../../../support/running-cluster";

const CLASS_PATH = ["zookeeper", "slf4j-simple"].map((jar) => `/usr/share/java/${jar}.jar`).join(":");

function server(
  { addresses, ports: [clientPort, peerPort, electionPort], directory }: Place,
  index: number,
): MemberProgram {
  const data = `${directory}/${index + 1}`;
  mkdirSync(data, { recursive: true });
  writeFileSync(`${data}/myid`, `${index + 1}`);
  const settings = [
    "tickTime=2000",
    "initLimit=30",
    "syncLimit=30",
    `dataDir=${data}`,
    `clientPort=${clientPort}`,
    `clientPortAddress=${addresses[index]}`,
    "admin.enableServer=false",
    ...addresses.map((address, member) => `server.${member + 1}=${address}:${peerPort}:${electionPort}`),
  ];
  writeFileSync(`${data}/zoo.cfg`, `${settings.join("\n")}\n`);
  const memory = ["-Xmx96m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];
  const main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
  return { command: "java", args: [...memory, "-cp", CLASS_PATH, main, `${data}/zoo.cfg`] };
}

describe("the ZooKeeper adapter on three real servers", () => {
  const cluster = conforms(() =>
    startServers({
      ports: 3,
      program: server,
      adapter: (surroundings, { ports: [port] }, member) =>
        zookeeperCluster(surroundings, { ...zookeeperSettingsSchema.parse({ kind: "zookeeper", port }), ...member }),
    }),
  );

  test("R11: the server that is left of three says that it does not serve, and nobody may go", async () => {
    const last = await cluster.loseFollowers();

    await eventually(async () => {
      const health = await cluster.healthOf(last);
      const refuses = health?.ok === false && health.reason.endsWith("is not currently serving requests");
      return refuses ? undefined : JSON.stringify(health);
    });

    await expect(cluster.leader()).rejects.toThrow("nobody leads");
    expect(await cluster.canRoll(last)).toEqual({ ok: false, reason: "0 nodes would stay, a quorum of 3 is 2" });
  }, 200_000);
});
