import { randomUUID } from "node:crypto";
import { groupedJobWrites } from "../../control-plane/store/job-writes";
import { ReadyJobs } from "../../control-plane/store/ready-jobs";
import type { Bench, Measurement } from "../bench/bench";
import { median, quantile } from "./figures";
import { graphileWorker, type Peer, pgBoss } from "./peers";
import { type BenchSession, type BenchStore, openSessions, putJobs, startCopy, startStore } from "./plane";
import { runJob } from "./run-job";

const ROUNDS = 5;
const CLIENTS = 24;
const JOBS = 1_000;
const LATENCY_JOBS = 60;
/** pg-boss waits half a second for each. */
const SLOW_LATENCY_JOBS = 10;

/** Jobs per second, and how soon a job that is created is begun, beside two queues of others on the same server. */
export const claims: Bench = {
  name: "claims",
  about: `${JOBS} jobs taken and completed one by one by ${CLIENTS} clients, and the time from a job's creation to its start; median of ${ROUNDS} interleaved rounds`,
  run: async () => {
    const store = await startStore();
    const peers = [await graphileWorker(store.url, CLIENTS), await pgBoss(store.url, CLIENTS)];
    try {
      const claimsMs: number[] = [];
      const own = await holdfast(store, claimsMs);
      try {
        return await compare([own, ...peers], claimsMs);
      } finally {
        await own.stop();
      }
    } finally {
      for (const peer of peers) await peer.stop();
      await store.stop();
    }
  },
};

/** @param claimsMs how long each claim of the first took while its clients drained */
async function compare(systems: readonly Peer[], claimsMs: readonly number[]): Promise<Measurement[]> {
  const rates = systems.map((): number[] => []);
  const latencies = systems.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, system] of systems.entries()) {
      rates[index]?.push((JOBS * 1_000) / (await system.drain(JOBS, CLIENTS)));
      const jobs = system.name.startsWith("pg-boss") ? SLOW_LATENCY_JOBS : LATENCY_JOBS;
      latencies[index]?.push(...(await system.latencies(jobs)));
    }
  }
  const own = median(rates[0] ?? []);
  return systems.map(({ name }, index) => ({
    case: name,
    figures: {
      "jobs/s": median(rates[index] ?? []),
      "own / it": own / median(rates[index] ?? []),
      "start p50 ms": quantile(latencies[index] ?? [], 0.5),
      "start p99 ms": quantile(latencies[index] ?? [], 0.99),
      ...(index === 0 && { "claim p99 ms": quantile(claimsMs, 0.99) }),
    },
  }));
}

async function holdfast(store: BenchStore, claimsMs: number[]): Promise<Peer> {
  const copy = await startCopy(store);
  let batch = 0;
  return {
    name: "holdfast",
    async drain(jobs, clients) {
      const sessions = await openSessions(store, clients);
      await putJobs(store, `drain-${batch++}-`, jobs);
      const startedAt = performance.now();
      const writes = groupedJobWrites(store.pool, new ReadyJobs(store.pool));
      const takeAll = async (session: BenchSession): Promise<void> => {
        for (
          let ms = await runJob(writes, store, session);
          ms !== undefined;
          ms = await runJob(writes, store, session)
        ) {
          claimsMs.push(ms);
        }
      };
      await Promise.all(sessions.map(takeAll));
      return performance.now() - startedAt;
    },
    async latencies(jobs) {
      const [worker] = await openSessions(store, 1, 200);
      if (!worker) throw new Error("there is no worker");
      const measured: number[] = [];
      for (let index = 0; index < jobs; index++) {
        measured.push(await createdToStarted(store, copy.url, worker, `latency-${batch++}`));
      }
      return measured;
    },
    stop: () => copy.stop(),
  };
}

/** Over HTTP, to a worker whose claim is parked: from the operator's request to the answer that the daemon may start. */
async function createdToStarted(store: BenchStore, url: string, worker: BenchSession, name: string): Promise<number> {
  const ask = async (path: string, token: string, body: object) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as { grants: { jobId: string; fence: number }[] };
  };
  const claim = ask("/worker/v1/claim", worker.token, { claimId: randomUUID(), freeSlots: 1, waitMs: 30_000 });
  await new Promise((resolve) => setTimeout(resolve, 30));
  const at = performance.now();
  const { deploymentId, datasourceId: id } = store;
  const job = { name, sourceId: id, sinkId: id, tables: ["t"] };
  const created = ask(`/api/v1/deployments/${deploymentId}/jobs`, store.operatorToken, job);
  const [grant] = (await claim).grants;
  if (!grant) throw new Error("the claim was answered without a job");
  const ref = { jobId: grant.jobId, fence: grant.fence };
  await ask("/worker/v1/started", worker.token, ref);
  const tookMs = performance.now() - at;
  await created;
  await ask("/worker/v1/report", worker.token, { ...ref, outcome: "completed", logTail: [] });
  return tookMs;
}
