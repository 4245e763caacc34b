import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { etcdMember } from "../../../../scripts/bench-rolling/servers/etcd-member";
import { patroniCluster, patroniSettingsSchema } from "../../../../scripts/rolling-update/clusters/patroni";
import { freePorts, loopbackAddresses } from "../../../../scripts/rolling-update/simulator/loopback";
import { MemberProcess } from "../../../../scripts/rolling-update/simulator/member-process";
import { conforms } from "../../../support/adapter-conformance";
import { patroniMember } from "../../../support/patroni-members";
import { startServers } from "../../../support/running-cluster";

describe("the Patroni adapter on three real PostgreSQL servers", () => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-store-"));
  let agreement: MemberProcess | undefined;

  /** The store in which Patroni agrees on a leader. */
  const startStore = async (): Promise<string> => {
    const addresses = loopbackAddresses(1);
    const [clientPort = 0, peerPort = 0] = await freePorts(addresses, 2);
    agreement = new MemberProcess(etcdMember({ addresses, clientPort, peerPort, directory }, 0));
    agreement.start();
    return `${addresses[0]}:${clientPort}`;
  };
  afterAll(async () => {
    await agreement?.dispose();
    rmSync(directory, { recursive: true, force: true });
  });

  const cluster = conforms(async () => {
    const store = await startStore();
    return startServers({
      ports: 2,
      program: (place, index) => patroniMember(place, index, store),
      adapter: (surroundings, { ports: [port] }, member) =>
        patroniCluster(surroundings, { ...patroniSettingsSchema.parse({ kind: "patroni", port }), ...member }),
    });
  });

  test("R11: a leader without replicas goes on, since the store elects; it may not go, nor may they: one copy is too few", async () => {
    const last = await cluster.loseFollowers();

    expect(await cluster.healthOf(last)).toEqual({ ok: true });
    expect(await cluster.leader()).toBe(last);
    const verdicts = await Promise.all([cluster.canRoll("00"), cluster.canRoll("01"), cluster.canRoll("02")]);
    expect(verdicts).toEqual(
      ["00", "01", "02"].map((id) => ({
        ok: false,
        reason: `${id === last ? 0 : 1} well copies would stay, 2 are needed`,
      })),
    );
  }, 200_000);
});
