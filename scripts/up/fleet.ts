/**
 * The local fleet: PostgreSQL, the control plane, two worker agents, and a job that copies a shop which sells. All of it lives in one
 * folder and on the loopback interface; it stops in order and goes on with the next start.
 */
import { readFileSync } from "node:fs";
import type { Pool } from "pg";
import * as z from "zod";
import { createLogger } from "../../control-plane/api/logger";
import { type ControlPlane, startControlPlane } from "../../control-plane/api/server";
import { openDatabase } from "../../control-plane/store/database";
import { databaseUrl, type PrivateCluster, startPrivateCluster } from "../../control-plane/store/private-cluster";
import { parseKeyring } from "../../control-plane/store/seal";
import { lastToFirst } from "../last-to-first";
import { type ControlPlaneApi, controlPlaneApi } from "../operator/control-plane";
import { runAgent } from "./agents";
import { describeFleet } from "./catalog";
import { createDatabases, NAMES } from "./databases";
import { fileDestination } from "./log-file";
import type { FleetView } from "./screen";
import { readProgress, runShop } from "./shop";
import { StateFolder } from "./state-folder";

const WORKERS = ["local-1", "local-2"];

export interface FleetProps {
  readonly stateFolder: string;
  readonly ordersPerSecond: number;
  readonly say: (text: string) => void;
  /**
   * Ends every process at once when aborted, also while they are started; the next start repairs what that leaves.
   * @default - they end in order alone
   */
  readonly abandoned?: AbortSignal;
}

export interface Fleet {
  readonly url: string;
  readonly operatorTokenFile: string;
  readonly shop: Pool;
  readonly copy: Pool;
  /** Resolves when the fleet cannot go on, with the reason. */
  readonly broken: Promise<string>;
  view(): Promise<FleetView>;
  /** No order is placed any more. */
  closeShop(): Promise<void>;
  /** Gives the jobs back, ends every process in order, keeps the folder. @throws Error of the first that did not end */
  stop(): Promise<void>;
}

/** Brings the fleet up. What was started is ended again when a later part fails. */
export async function startFleet({ stateFolder, ordersPerSecond, say, abandoned }: FleetProps): Promise<Fleet> {
  const state = await StateFolder.open(stateFolder);
  if (state.wasKilled) say("the last fleet was killed: going on with what it left");
  const steps: (() => Promise<unknown>)[] = [async () => state.release()];
  const stop = () => lastToFirst(steps.splice(0));
  try {
    const ports = await state.ports();
    const server = await startPrivateCluster({
      directory: state.file("postgres"),
      port: ports.postgres,
      settings: { wal_level: "logical" },
      abandoned,
    });
    steps.push(() => server.stop());
    await createDatabases(server.url);
    const operatorTokenFile = state.file("operator-token");
    const controlPlane = await startLocalControlPlane(server, state, ports.controlPlane, operatorTokenFile);
    steps.push(() => controlPlane.stop());
    const { url } = controlPlane;
    const api = controlPlaneApi(url, readFileSync(operatorTokenFile, "utf8").trim());
    const { base, deploymentTokenFile } = await describeFleet(api, server.url, state);

    const agents = WORKERS.map((name) => runAgent({ name, controlPlaneUrl: url, deploymentTokenFile, state, say }));
    abandoned?.addEventListener("abort", () => {
      for (const agent of agents) agent.kill();
    });
    steps.push(() => Promise.all(agents.map((agent) => agent.stop())));
    const shop = openDatabase(databaseUrl(server.url, NAMES.source), 3);
    const copy = openDatabase(databaseUrl(server.url, NAMES.sink), 3);
    steps.push(() => Promise.all([shop.end(), copy.end()]));
    const closeShop = runShop(shop, ordersPerSecond, say);
    steps.push(closeShop);

    return {
      url,
      operatorTokenFile,
      shop,
      copy,
      broken: server.ended.then(() => `PostgreSQL ended; its log is ${state.file("postgres", "postgres.log")}`),
      view: () => readView(api, base, shop, copy),
      closeShop,
      stop,
    };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

async function startLocalControlPlane(
  server: PrivateCluster,
  state: StateFolder,
  port: number,
  operatorTokenFile: string,
): Promise<ControlPlane> {
  return await startControlPlane({
    databaseUrl: databaseUrl(server.url, NAMES.controlPlane),
    keyring: parseKeyring(state.keyring),
    logger: createLogger("info", fileDestination(state.file("control-plane.log"))),
    port,
    operatorTokenFile,
    statusPage: "open",
  });
}

const Worker = z.looseObject({
  workerId: z.string(),
  draining: z.boolean(),
  silentMs: z.number(),
  jobs: z.int(),
  slots: z.int(),
});
const Job = z.looseObject({
  name: z.string(),
  state: z.string(),
  phase: z.string().nullable(),
  workerId: z.string().nullable(),
});

async function readView(api: ControlPlaneApi, base: string, shop: Pool, copy: Pool): Promise<FleetView> {
  const [workers, jobs, progress] = await Promise.all([
    api.get(`${base}/workers`, z.array(Worker)),
    api.get(`${base}/jobs`, z.array(Job)),
    readProgress(shop, copy),
  ]);
  const [job] = jobs;
  return {
    workers: workers.map(({ workerId, draining, silentMs, jobs: held, slots }) => {
      const state = silentMs > 0 ? "silent" : draining ? "draining" : "healthy";
      return { workerId, state, jobs: held, slots };
    }),
    job: {
      name: job?.name ?? "none",
      state: job?.state ?? "",
      phase: job?.phase ?? "",
      worker: job?.workerId ?? "",
    },
    progress,
  };
}
