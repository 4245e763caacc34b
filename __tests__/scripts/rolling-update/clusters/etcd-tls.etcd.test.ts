import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { etcdMember } from "../../../../scripts/bench-rolling/servers/etcd-member";
import type { ClusterAdapter } from "../../../../scripts/rolling-update/clusters/cluster-adapter";
import { etcdCluster, etcdSettingsSchema } from "../../../../scripts/rolling-update/clusters/etcd";
import type { TlsFiles } from "../../../../scripts/rolling-update/clusters/tls-files";
import type { MemberProgram } from "../../../../scripts/rolling-update/simulator/member-process";
import { certificateAuthority } from "../../../support/certificates";
import { type Place, type RunningCluster, startServers, untilWell } from "../../../support/running-cluster";

/** Longer than a loaded machine keeps a process waiting: leadership moves when a test moves it. */
const ELECTION_TIMEOUT_MS = 10_000;

const target = (nodeId: string) => ({ nodeId, ip: "", instanceId: "i-1", group: "" });

describe("the etcd adapter on three real members that want a client's certificate", () => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-authority-"));
  const authority = certificateAuthority(join(directory, "own"));
  const stranger = certificateAuthority(join(directory, "stranger"));
  const roller = authority.issue("roller");
  const files: TlsFiles = { ca: authority.ca, certificate: roller.certificate, key: roller.key };
  let cluster: RunningCluster;
  let adapterWith: (tls: TlsFiles | undefined) => ClusterAdapter;

  const member = ({ addresses, ports, directory: home }: Place, index: number): MemberProgram => {
    const [clientPort = 0, peerPort = 0] = ports;
    const place = { addresses, clientPort, peerPort, directory: home, electionTimeoutMs: ELECTION_TIMEOUT_MS };
    const { command, args } = etcdMember(place, index);
    const { certificate, key } = authority.issue(`member-${index}`, [addresses[index] ?? ""]);
    const url = `https://${addresses[index]}:${clientPort}`;
    const tls = [`--cert-file=${certificate}`, `--key-file=${key}`, `--trusted-ca-file=${authority.ca}`];
    // Of an option that is given twice the later one counts.
    const urls = [`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`];
    return { command, args: [...args, ...urls, ...tls, "--client-cert-auth=true"] };
  };

  beforeAll(async () => {
    cluster = await startServers({
      ports: 2,
      program: member,
      adapter: (surroundings, { ports: [port] }, settings) => {
        adapterWith = (tls) => {
          const parsed = etcdSettingsSchema.parse({ kind: "etcd", port, ...(tls && { tls }) });
          return etcdCluster(surroundings, { ...parsed, ...settings });
        };
        return adapterWith(files);
      },
    });
  }, 400_000);
  afterAll(async () => {
    await cluster?.close();
    rmSync(directory, { recursive: true, force: true });
  }, 120_000);

  const answerOf = async (tls: TlsFiles | undefined) =>
    (await adapterWith(tls).probe.health(cluster.nodes.slice(0, 1))).get("00");

  test("R11: asks, and hands leadership over, with certificate and key", async () => {
    const { probe, drain } = cluster.adapter;
    const leader = await probe.leader(cluster.nodes);
    const going = cluster.nodes.filter(({ id }) => id === leader);

    expect(await probe.canRoll(going, cluster.nodes)).toEqual({ ok: true });
    await drain.drain(target(leader ?? ""));
    expect(await probe.leader(cluster.nodes)).not.toBe(leader);
    await drain.undrain(target(leader ?? ""));
    await untilWell(cluster);
  }, 400_000);

  test.each<[string, TlsFiles | undefined, RegExp]>([
    ["without TLS is refused", undefined, /answers 400|ECONNRESET|EPIPE|hang up/],
    ["without a certificate is refused", { ca: authority.ca }, /certificate|ECONNRESET|EPIPE|hang up/],
    [
      "with one of another authority is refused",
      { ...files, ...shown(stranger.issue("roller")) },
      /certificate|ECONNRESET|EPIPE|hang up/,
    ],
    ["does not believe a server of another authority", { ...files, ca: stranger.ca }, /unable to verify|self.signed/i],
    ["does not believe a server of another name", { ...files, serverName: "member-9" }, /altnames/],
  ])(
    "R11: %s",
    async (_what, tls, reason) => {
      expect(await answerOf(tls)).toEqual({ ok: false, reason: expect.stringMatching(reason) });
    },
    200_000,
  );

  test("R11: a server is known by the name that is given", async () => {
    expect(await answerOf({ ...files, serverName: "member-0" })).toEqual({ ok: true });
  }, 200_000);

  test("R11: certificates are checked whatever the environment says", async () => {
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    try {
      expect(await answerOf({ ...files, ca: stranger.ca })).toMatchObject({ ok: false });
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    }
  }, 200_000);

  test("R11: a file that is not there is named, and half an identity is refused", () => {
    expect(() => adapterWith({ ...files, key: join(directory, "gone.key") })).toThrow(/gone\.key/);
    expect(etcdSettingsSchema.safeParse({ kind: "etcd", tls: { certificate: "/c" } }).error?.issues).toEqual([
      expect.objectContaining({ path: ["tls"], message: "give certificate and key, or neither" }),
    ]);
  });
});

function shown({ certificate, key }: { readonly certificate: string; readonly key: string }): TlsFiles {
  return { certificate, key };
}
