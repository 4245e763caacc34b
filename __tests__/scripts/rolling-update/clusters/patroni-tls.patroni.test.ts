import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { etcdMember } from "../../../../scripts/bench-rolling/servers/etcd-member";
import type { ClusterAdapter } from "../../../../scripts/rolling-update/clusters/cluster-adapter";
import { patroniCluster, patroniSettingsSchema } from "../../../../scripts/rolling-update/clusters/patroni";
import type { TlsFiles } from "../../../../scripts/rolling-update/clusters/tls-files";
import { freePorts, loopbackAddresses } from "../../../../scripts/rolling-update/simulator/loopback";
import { MemberProcess } from "../../../../scripts/rolling-update/simulator/member-process";
import { certificateAuthority } from "../../../support/certificates";
import { patroniMember } from "../../../support/patroni-members";
import { type RunningCluster, startServers } from "../../../support/running-cluster";

describe("the Patroni adapter on a REST API that wants a certificate", () => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-patroni-"));
  // PostgreSQL does not run as the tests' user.
  chmodSync(directory, 0o755);
  const authority = certificateAuthority(join(directory, "own"));
  const stranger = certificateAuthority(join(directory, "stranger"));
  const { certificate, key } = authority.issue("roller");
  const files: TlsFiles = { ca: authority.ca, certificate, key };
  let agreement: MemberProcess | undefined;
  let cluster: RunningCluster;
  let adapterWith: (settings: object) => ClusterAdapter;

  beforeAll(async () => {
    const addresses = loopbackAddresses(1);
    const [clientPort = 0, peerPort = 0] = await freePorts(addresses, 2);
    agreement = new MemberProcess(etcdMember({ addresses, clientPort, peerPort, directory }, 0));
    agreement.start();
    const store = `${addresses[0]}:${clientPort}`;
    cluster = await startServers({
      nodes: 1,
      ports: 2,
      program: (place, index) => patroniMember(place, index, store, authority),
      adapter: (surroundings, { ports: [port] }, member) => {
        adapterWith = (settings) => {
          const parsed = patroniSettingsSchema.parse({ kind: "patroni", port, tls: files, ...settings });
          return patroniCluster(surroundings, { ...parsed, ...member });
        };
        return adapterWith({});
      },
    });
  }, 400_000);
  afterAll(async () => {
    await cluster?.close();
    await agreement?.dispose();
    rmSync(directory, { recursive: true, force: true });
  }, 120_000);

  const answerOf = async (settings: object) => (await adapterWith(settings).probe.health(cluster.nodes)).get("00");

  test("R11: asks with certificate and key", async () => {
    const { probe } = cluster.adapter;

    expect(await answerOf({})).toEqual({ ok: true });
    expect(await probe.leader(cluster.nodes)).toBe("00");
    expect(await probe.canRoll(cluster.nodes, cluster.nodes)).toEqual({ ok: true });
  }, 200_000);

  test.each<[string, TlsFiles, RegExp]>([
    ["asks without a certificate is refused", { ca: authority.ca }, /certificate|ECONNRESET|EPIPE|hang up/],
    ["does not believe a server of another authority", { ...files, ca: stranger.ca }, /unable to verify|self.signed/],
  ])(
    "R11: who %s",
    async (_what, tls, reason) => {
      expect(await answerOf({ tls })).toEqual({ ok: false, reason: expect.stringMatching(reason) });
    },
    200_000,
  );
});
