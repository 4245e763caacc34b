import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { lastToFirst } from "../last-to-first";
import { type ControlPlaneCopy, startCopy } from "./control-plane-copy";
import { type DatabaseServers, startDatabases, stopDatabases } from "./databases";
import { Operator } from "./operator";
import { Releases } from "./releases";
import { copyName, type FleetSize, type Link, SERVERS, type ServerName } from "./schedule";
import { type Destination, SeverableProxy } from "./severable-proxy";
import { type Roads, Worker } from "./worker";

/** Everything that runs: three database servers, copies of the control plane, workers, and the roads between them. */
export interface ChaosFleet {
  readonly size: FleetSize;
  readonly databases: DatabaseServers;
  readonly copies: readonly ControlPlaneCopy[];
  readonly workers: readonly Worker[];
  readonly operator: Operator;
  readonly releases: Releases;
  /** By the job's number. */
  readonly jobIds: readonly string[];
  /** Cuts what joins two parties; gives what heals it. */
  cut(link: Link): () => void;
  /** Ends every process that belongs to it. */
  stop(): Promise<void>;
}

/**
 * Brings a fleet up in an empty folder. What was started is ended again when a later part fails.
 *
 * @throws Error when a part does not come up.
 */
export async function startChaosFleet(size: FleetSize, directory: string): Promise<ChaosFleet> {
  const parts: (() => Promise<unknown>)[] = [];
  const stop = () => lastToFirst(parts.splice(0));
  const proxy = async (destinations: readonly Destination[]) => {
    const listening = await SeverableProxy.listen(destinations);
    parts.push(() => listening.close());
    return listening;
  };
  try {
    const databases = await startDatabases(directory, size.jobs);
    parts.push(() => stopDatabases(databases));
    const servers = Object.fromEntries(SERVERS.map((name) => [name, { name, port: databases[name].port }])) as Readonly<
      Record<ServerName, Destination>
    >;

    const keyring = `chaos:${randomBytes(32).toString("hex")}`;
    const operatorTokenFile = join(directory, "operator-token");
    const copies: ControlPlaneCopy[] = [];
    for (let number = 0; number < size.controlPlanes; number++) {
      const toStore = await proxy([servers.store]);
      const name = copyName(number);
      const storeUrl = databases.store.cluster.url;
      const copy = startCopy({ name, directory, keyring, operatorTokenFile, storeUrl, toStore });
      parts.push(() => copy.program.stop());
      copies.push(copy);
    }
    const listeners = copies.map(({ destination }) => destination);
    const operator = await Operator.first(listeners, operatorTokenFile);
    const deploymentTokenFile = join(directory, "deployment-token");
    const jobIds = await operator.describeJobs(databases, size.jobs, deploymentTokenFile);

    const releases = await Releases.open(directory);
    parts.push(() => releases.close());
    // Two workers can run all the jobs of three.
    const slots = Math.ceil(size.jobs / Math.max(1, size.workers - 1));
    const workers: Worker[] = [];
    const allRoads: Roads[] = [];
    for (let number = 0; number < size.workers; number++) {
      const roads: Roads = {
        "control-plane": await proxy(listeners),
        source: await proxy([servers.source]),
        sink: await proxy([servers.sink]),
      };
      const worker = new Worker({
        number,
        directory,
        deploymentTokenFile,
        slots,
        roads,
        releaseKeyFile: releases.keyFile,
      });
      parts.push(() => worker.destroy());
      workers.push(worker);
      allRoads.push(roads);
    }

    const cut = (link: Link): (() => void) => {
      if (link.from === "control-plane") return item(copies, link.copy).toStore.cut(servers.store);
      const road = item(allRoads, link.worker)[link.to];
      return road.cut(link.to === "control-plane" ? item(listeners, link.copy) : servers[link.to]);
    };
    return { size, databases, copies, workers, operator, releases, jobIds, cut, stop };
  } catch (error) {
    // Why the fleet did not come up says more than what then failed to end.
    await stop().catch(() => undefined);
    throw error;
  }
}

function item<T>(items: readonly T[], index: number): T {
  const found = items[index];
  if (found === undefined) throw new Error(`there is no number ${index} of ${items.length}`);
  return found;
}
