import { etcdMember } from "../../../../scripts/bench-rolling/servers/etcd-member";
import { etcdCluster, etcdSettingsSchema } from "../../../../scripts/rolling-update/clusters/etcd";
import { conforms } from "../../../support/adapter-conformance";
import { eventually, startServers } from "../../../support/running-cluster";

/** Longer than a loaded machine keeps a process waiting: leadership moves when a test moves it. */
const ELECTION_TIMEOUT_MS = 10_000;

describe("the etcd adapter on three real members", () => {
  const cluster = conforms(() =>
    startServers({
      ports: 2,
      program: ({ addresses, ports: [clientPort = 0, peerPort = 0], directory }, index) =>
        etcdMember({ addresses, clientPort, peerPort, directory, electionTimeoutMs: ELECTION_TIMEOUT_MS }, index),
      adapter: (surroundings, { ports: [port] }, member) =>
        etcdCluster(surroundings, { ...etcdSettingsSchema.parse({ kind: "etcd", port }), ...member }),
    }),
  );

  test("R11: the member that is left of three sees no leader once its own term is over, and nobody may go", async () => {
    const last = await cluster.loseFollowers();

    await eventually(async () => {
      const health = await cluster.healthOf(last);
      return health?.ok === false && health.reason === "sees no leader" ? undefined : JSON.stringify(health);
    });

    await expect(cluster.leader()).rejects.toThrow("nobody leads");
    expect(await cluster.canRoll(last)).toEqual({ ok: false, reason: "0 nodes would stay, a quorum of 3 is 2" });
  }, 200_000);
});
