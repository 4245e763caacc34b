import { MAX_JOBS } from "../../control-plane/protocol/limits";
import { groupedJobWrites } from "../../control-plane/store/job-writes";
import { ReadyJobs } from "../../control-plane/store/ready-jobs";
import { Operators } from "./operators";
import { ParkedFleet } from "./parked-fleet";
import { type BenchStore, openSessions, putJobs, startCopy } from "./plane";
import type { Queue } from "./queue";
import { requestToStart } from "./request-to-start";
import { type RunProps, runJobs } from "./run-jobs";

/** Workers with as many slots as one can have. */
const BATCH_CLIENTS = 4;

export interface OwnQueue extends Queue {
  /** The same jobs with a third write each, their start, which the others' do not have. */
  readonly withStarts: Pick<Queue, "drain" | "drainInBatches">;
  /** How long each claim took of those that were made one by one, in ms. */
  readonly claimsMs: readonly number[];
}

/** The control plane's: its writes in this process, and a copy for what goes over HTTP. */
export async function ownQueue(store: BenchStore, clients: number): Promise<OwnQueue> {
  const copy = await startCopy(store);
  const operators = await Operators.at(copy, store);
  const claimsMs: number[] = [];
  let named = 0;
  const drain = async (jobs: number, workers: number, props: RunProps) => {
    const sessions = await openSessions(store, workers, props.slots);
    await putJobs(store, `drain-${named++}-`, jobs);
    await store.pool.query("analyze jobs, ready_jobs");
    let done = 0;
    const startedAt = performance.now();
    const writes = groupedJobWrites(store.pool, new ReadyJobs(store.pool), store.keyring);
    await Promise.all(
      sessions.map(async (session) => {
        for (;;) {
          const { jobs: taken, claimMs } = await runJobs(writes, store, session, props);
          if (taken === 0) return;
          if (props.slots === 1) claimsMs.push(claimMs);
          done += taken;
        }
      }),
    );
    const tookMs = performance.now() - startedAt;
    if (done !== jobs) throw new Error(`${done} of ${jobs} jobs were completed`);
    return tookMs;
  };
  const drains = (tellsStarts: boolean) => ({
    drain: async (jobs: number) => await drain(jobs, clients, { slots: 1, tellsStarts }),
    drainInBatches: async (jobs: number) => await drain(jobs, BATCH_CLIENTS, { slots: MAX_JOBS, tellsStarts }),
  });
  return {
    name: "holdfast",
    claimsMs,
    ...drains(false),
    withStarts: drains(true),
    latencies: async (jobs) => {
      const fleet = new ParkedFleet(copy);
      try {
        for (const { token } of await openSessions(store, clients, MAX_JOBS)) fleet.wait(token);
        await fleet.allParked(clients);
        const tookMs: number[] = [];
        for (let index = 0; index < jobs; index++) {
          tookMs.push(await requestToStart(operators, fleet, `latency-${named++}`));
        }
        return tookMs;
      } finally {
        fleet.stop();
      }
    },
    stop: async () => {
      operators.close();
      await copy.stop();
    },
  };
}
