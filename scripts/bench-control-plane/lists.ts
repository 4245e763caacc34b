import { setTimeout as pause } from "node:timers/promises";
import { RENEWAL_MS } from "../../control-plane/portal/status-script";
import type { Bench, Measurement, Progress } from "../bench/bench";
import { BeatingFleet } from "./beating-fleet";
import { Connections } from "./connections";
import { quantile } from "./figures";
import { type BenchStore, openSessions, startCopy, startStore, TIMING } from "./plane";
import { putDatasources, putRunningJobs, putUpgrade } from "./population";

const WORKERS = 10_000;
const ROUNDS = 40;
/** One that takes long is looked at less often. */
const MOST_MS = 30_000;
const LIMIT_MS = 200;

/** What those who look see of a large fleet, and how soon. */
export const lists: Bench = {
  name: "lists",
  about: `the status page and every list, up to ${ROUNDS} times each, one after the other, the page as often as one that is open asks, of ${WORKERS} workers that beat every ${TIMING.heartbeatMs / 1_000} s and run a job each, from a datasource each, after one upgrade of all: how soon each is whole, how large it is, and how long the copy answers nobody else meanwhile`,
  run: async (progress) => {
    const store = await startStore();
    const copy = await startCopy(store);
    const living = new BeatingFleet([copy], 1);
    const looking = new Connections(copy);
    try {
      const sessions = await openSessions(store, WORKERS);
      await putRunningJobs(store, sessions, await putDatasources(store, WORKERS));
      await putUpgrade(store);
      living.begin(
        sessions.map(({ token }) => token),
        TIMING.heartbeatMs,
      );
      await living.allRenewed(0);
      const measurements: Measurement[] = [];
      for (const { name, path, authorization, restMs } of pagesOf(store)) {
        const look = () => looking.get(path, authorization);
        measurements.push(await measure(name, progress, look, restMs, looking));
      }
      return [
        ...measurements,
        { case: "heartbeats meanwhile", figures: { "p95 ms": quantile(living.ackMs, 0.95) } },
        { case: "limit, each", figures: { "p95 ms": LIMIT_MS, "of limit": 1, refused: 0 } },
      ];
    } finally {
      living.stop();
      looking.close();
      await copy.stop();
      await store.stop();
    }
  },
};

interface Page {
  readonly name: string;
  readonly path: string;
  readonly authorization: string;
  /** Between two looks. */
  readonly restMs: number;
}

function pagesOf({ deploymentId, operatorToken }: BenchStore): readonly Page[] {
  const bearer = `Bearer ${operatorToken}`;
  const deployment = `/api/v1/deployments/${deploymentId}`;
  const ofDeployment = ["jobs", "workers", "datasources", "tokens", "upgrades", "audit", "audit/verify"];
  return [
    {
      name: "status page",
      path: "/",
      authorization: `Basic ${Buffer.from(`:${operatorToken}`).toString("base64")}`,
      restMs: RENEWAL_MS,
    },
    { name: "deployments", path: "/api/v1/deployments", authorization: bearer, restMs: 0 },
    ...ofDeployment.map((name) => ({ name, path: `${deployment}/${name}`, authorization: bearer, restMs: 0 })),
  ];
}

async function measure(
  name: string,
  progress: Progress,
  look: () => Promise<string>,
  restMs: number,
  connections: Connections,
): Promise<Measurement> {
  const stallMs = async () =>
    Number(/^holdfast_event_loop_stall_seconds (\S+)/m.exec(await connections.get("/metrics", ""))?.[1]) * 1_000;
  const ms: number[] = [];
  let seen = "";
  let refused = 0;
  const lookOnce = async () => {
    await pause(restMs);
    const at = performance.now();
    try {
      seen = await look();
    } catch {
      refused += 1;
    }
    ms.push(performance.now() - at);
  };
  // V8 compiles at first what a copy that runs for weeks has compiled.
  await lookOnce();
  ms.length = 0;
  await stallMs();
  const startedAt = performance.now();
  while (ms.length === 0 || (ms.length < ROUNDS && performance.now() - startedAt < MOST_MS)) await lookOnce();
  progress(`${name}: p95 ${Math.round(quantile(ms, 0.95))} ms`);
  return {
    case: name,
    figures: {
      "p50 ms": quantile(ms, 0.5),
      "p95 ms": quantile(ms, 0.95),
      "of limit": quantile(ms, 0.95) / LIMIT_MS,
      KiB: Buffer.byteLength(seen) / 1_024,
      "stall ms": await stallMs(),
      refused,
    },
  };
}
