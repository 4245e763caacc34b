import { MAX_JOBS } from "../../control-plane/protocol/limits";
import { groupedJobWrites } from "../../control-plane/store/job-writes";
import { ReadyJobs } from "../../control-plane/store/ready-jobs";
import { createdToStarted } from "./created-to-started";
import { type BenchStore, openSessions, putJobs, startCopy } from "./plane";
import type { Queue } from "./queue";
import { runJobs } from "./run-jobs";

/** Workers with as many slots as one can have. */
const BATCH_CLIENTS = 4;

export interface OwnQueue extends Queue {
  /** How long each claim took of those that were made one by one, in ms. */
  readonly claimsMs: readonly number[];
}

/** The control plane's: its writes in this process, and a copy for what goes over HTTP. */
export async function ownQueue(store: BenchStore, clients: number): Promise<OwnQueue> {
  const copy = await startCopy(store);
  const claimsMs: number[] = [];
  let named = 0;
  /** Gives how long it took, and how long each claim did, in ms. */
  const drain = async (jobs: number, workers: number, slots: number) => {
    const sessions = await openSessions(store, workers, slots);
    await putJobs(store, `drain-${named++}-`, jobs);
    await store.pool.query("analyze jobs, ready_jobs");
    const claims: number[] = [];
    let done = 0;
    const startedAt = performance.now();
    const writes = groupedJobWrites(store.pool, new ReadyJobs(store.pool));
    await Promise.all(
      sessions.map(async (session) => {
        for (;;) {
          const { jobs: taken, claimMs } = await runJobs(writes, store, session, slots);
          if (taken === 0) return;
          claims.push(claimMs);
          done += taken;
        }
      }),
    );
    const tookMs = performance.now() - startedAt;
    if (done !== jobs) throw new Error(`${done} of ${jobs} jobs were completed`);
    return { tookMs, claims };
  };
  return {
    name: "holdfast",
    claimsMs,
    drain: async (jobs) => {
      const { tookMs, claims } = await drain(jobs, clients, 1);
      claimsMs.push(...claims);
      return tookMs;
    },
    drainInBatches: async (jobs) => (await drain(jobs, BATCH_CLIENTS, MAX_JOBS)).tookMs,
    latencies: async (jobs) => {
      const [worker] = await openSessions(store, 1, MAX_JOBS);
      if (!worker) throw new Error("there is no worker");
      const measured: number[] = [];
      for (let index = 0; index < jobs; index++) {
        measured.push(await createdToStarted(store, copy.url, worker, `latency-${named++}`));
      }
      return measured;
    },
    stop: () => copy.stop(),
  };
}
