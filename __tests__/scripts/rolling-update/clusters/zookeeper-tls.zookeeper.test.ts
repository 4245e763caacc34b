import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClusterAdapter } from "../../../../scripts/rolling-update/clusters/cluster-adapter";
import type { TlsFiles } from "../../../../scripts/rolling-update/clusters/tls-files";
import { zookeeperCluster, zookeeperSettingsSchema } from "../../../../scripts/rolling-update/clusters/zookeeper";
import type { MemberProgram } from "../../../../scripts/rolling-update/simulator/member-process";
import { certificateAuthority } from "../../../support/certificates";
import { eventually, type Place, type RunningCluster, startServers } from "../../../support/running-cluster";

/** TLS and HTTP are of libraries that Debian's package brings along without naming all of them. */
const LIBRARIES = ["zookeeper", "slf4j-simple", "netty-codec", "netty-resolver", "servlet-api", "jetty9-util-ajax"];
const CLASS_PATH = LIBRARIES.map((jar) => `/usr/share/java/${jar}.jar`).join(":");

describe("the ZooKeeper adapter on three real servers that speak TLS", () => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-authority-"));
  const authority = certificateAuthority(join(directory, "own"));
  const stranger = certificateAuthority(join(directory, "stranger"));
  const { certificate, key } = authority.issue("roller");
  const files: TlsFiles = { ca: authority.ca, certificate, key };
  let cluster: RunningCluster;
  let adapterOf: (settings: object) => ClusterAdapter;
  let ports: Place["ports"];

  function server(place: Place, index: number): MemberProgram {
    const { addresses, ports: all } = place;
    const [peerPort, electionPort, securePort, adminPort] = all;
    const address = addresses[index] ?? "";
    const { bundle } = authority.issue(`server-${index}`, [address]);
    const data = `${place.directory}/${index + 1}`;
    mkdirSync(data, { recursive: true });
    writeFileSync(`${data}/myid`, `${index + 1}`);
    const stores = (prefix: string) => [
      `${prefix}.keyStore.location=${bundle}`,
      `${prefix}.keyStore.type=PEM`,
      `${prefix}.trustStore.location=${authority.ca}`,
      `${prefix}.trustStore.type=PEM`,
    ];
    const settings = [
      "tickTime=2000",
      "initLimit=30",
      "syncLimit=30",
      `dataDir=${data}`,
      "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
      `secureClientPort=${securePort}`,
      `secureClientPortAddress=${address}`,
      ...stores("ssl"),
      "ssl.clientAuth=need",
      `admin.serverAddress=${address}`,
      `admin.serverPort=${adminPort}`,
      "admin.portUnification=true",
      ...stores("ssl.quorum"),
      ...addresses.map((peer, member) => `server.${member + 1}=${peer}:${peerPort}:${electionPort}`),
    ];
    writeFileSync(`${data}/zoo.cfg`, `${settings.join("\n")}\n`);
    const memory = ["-Xmx96m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];
    const main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
    return { command: "java", args: [...memory, "-cp", CLASS_PATH, main, `${data}/zoo.cfg`] };
  }

  beforeAll(async () => {
    cluster = await startServers({
      ports: 4,
      program: server,
      adapter: (surroundings, place, member) => {
        ports = place.ports;
        adapterOf = (settings) => {
          const parsed = zookeeperSettingsSchema.parse({ kind: "zookeeper", ...settings });
          return zookeeperCluster(surroundings, { ...parsed, ...member });
        };
        return adapterOf({ port: ports[2], tls: files });
      },
    });
  }, 400_000);
  afterAll(async () => {
    await cluster?.close();
    rmSync(directory, { recursive: true, force: true });
  }, 120_000);

  const ways = [
    ["the client port over TLS", () => ({ port: ports[2], tls: files })],
    ["the AdminServer", () => ({ adminPort: ports[3] })],
    ["the AdminServer over TLS", () => ({ adminPort: ports[3], tls: files })],
  ] as const;

  test.each(ways)(
    "R11: %s tells who is well and who leads, as the others do",
    async (_way, settings) => {
      const { probe } = adapterOf(settings());
      const { nodes, adapter } = cluster;
      const [one, two] = [nodes.slice(0, 1), nodes.slice(0, 2)];

      expect([...(await probe.health(nodes)).values()]).toEqual([{ ok: true }, { ok: true }, { ok: true }]);
      expect(await probe.leader(nodes)).toBe(await adapter.probe.leader(nodes));
      expect(await probe.canRoll(one, nodes)).toEqual({ ok: true });
      expect(await probe.canRoll(two, nodes)).toMatchObject({ ok: false });
    },
    200_000,
  );

  const firstAnswer = async (settings: object) =>
    (await adapterOf(settings).probe.health(cluster.nodes.slice(0, 1))).get("00");

  test.each<[string, () => object, RegExp]>([
    [
      "asks without a certificate is refused",
      () => ({ port: ports[2], tls: { ca: authority.ca } }),
      /certificate|ECONNRESET|EPIPE|without an answer/,
    ],
    [
      "does not believe a server of another authority",
      () => ({ port: ports[2], tls: { ...files, ca: stranger.ca } }),
      /unable to verify|self.signed/,
    ],
    [
      "asks a port that is not the AdminServer's gets no answer",
      () => ({ adminPort: ports[2] }),
      /hang up|ECONNRESET|EPIPE|Parse Error/,
    ],
    [
      "does not believe another's AdminServer",
      () => ({ adminPort: ports[3], tls: { ...files, ca: stranger.ca } }),
      /unable to verify|self.signed/,
    ],
  ])(
    "R11: who %s",
    async (_what, settings, reason) => {
      expect(await firstAnswer(settings())).toEqual({ ok: false, reason: expect.stringMatching(reason) });
    },
    200_000,
  );

  test("R11: a server that lost its quorum is well by none of them, and says why", async () => {
    await cluster.kill("01");
    await cluster.kill("02");

    for (const [, settings] of ways) {
      await eventually(async () => {
        const answer = await firstAnswer(settings());
        return answer?.ok === false && answer.reason.includes("not currently serving requests")
          ? undefined
          : JSON.stringify(answer);
      });
    }
  }, 400_000);
});
