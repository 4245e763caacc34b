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

  conforms(async () => {
    const store = await startStore();
    return startServers({
      ports: 2,
      program: (place, index) => patroniMember(place, index, store),
      adapter: (surroundings, { ports: [port] }, member) =>
        patroniCluster(surroundings, { ...patroniSettingsSchema.parse({ kind: "patroni", port }), ...member }),
    });
  });
});
