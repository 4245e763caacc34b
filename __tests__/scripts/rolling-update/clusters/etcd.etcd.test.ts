import { etcdMember } from "../../../../scripts/bench-rolling/servers/etcd-member";
import { etcdCluster, etcdSettingsSchema } from "../../../../scripts/rolling-update/clusters/etcd";
import { conforms } from "../../../support/adapter-conformance";
import { startServers } from "../../../support/running-cluster";

/** Longer than a loaded machine keeps a process waiting: leadership moves when a test moves it. */
const ELECTION_TIMEOUT_MS = 10_000;

describe("the etcd adapter on three real members", () => {
  conforms(() =>
    startServers({
      ports: 2,
      program: ({ addresses, ports: [clientPort = 0, peerPort = 0], directory }, index) =>
        etcdMember({ addresses, clientPort, peerPort, directory, electionTimeoutMs: ELECTION_TIMEOUT_MS }, index),
      adapter: (surroundings, { ports: [port] }, member) =>
        etcdCluster(surroundings, { ...etcdSettingsSchema.parse({ kind: "etcd", port }), ...member }),
    }),
  );
});
