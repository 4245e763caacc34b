import { SteadyWriter } from "../../../scripts/bench-rolling/servers/steady-writer";
import { etcdSettingsSchema } from "../../../scripts/rolling-update/clusters/etcd";
import type { ClusterKind } from "./cluster-life";
import { journal, momentOf, wholeJournal } from "./member-log";

const FIRST = "write/000000000";

export const ETCD: ClusterKind = {
  settings: etcdSettingsSchema.parse({ kind: "etcd" }),
  writer: (addresses) => new SteadyWriter(addresses.map((address) => `http://${address}:2379`)),
  holdsFirstWrite: async (machine) =>
    (await machine.exec("etcdctl", "get", "--consistency=s", "--keys-only", FIRST)) === FIRST,
  stopped: async (machine) => momentOf(await wholeJournal(machine, "etcd"), /received terminated signal/),
  served: async (machine) => momentOf(await journal(machine, "etcd"), /ready to serve client requests/),
};
