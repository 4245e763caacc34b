import type { Bench, Measurement } from "../bench/bench";
import { median, quantile } from "./figures";
import { ownQueue } from "./own-queue";
import { startPeer } from "./peer-process";
import { startStore } from "./plane";
import type { Queue } from "./queue";
import { Rates } from "./rates";

const ROUNDS = 5;
const CLIENTS = 24;
const JOBS = 5_000;
/** A thousand are over before some have started up. */
const BATCHED_JOBS = 20_000;
const LATENCY_JOBS = 60;

/** Jobs per second, and how soon a job that is created is begun, beside two queues of others on the same server. */
export const claims: Bench = {
  name: "claims",
  about: `${JOBS} jobs taken and completed one by one by ${CLIENTS} clients, ${BATCHED_JOBS} in batches, and the time from a job's creation to its start; median of ${ROUNDS} interleaved rounds, of their ratios also the least and the most`,
  run: async (progress) => {
    const store = await startStore();
    const queues: Queue[] = [];
    try {
      const own = await ownQueue(store, CLIENTS);
      queues.push(own);
      for (const peer of ["graphile-worker", "pg-boss"] as const) {
        queues.push(await startPeer(peer, store.url, CLIENTS));
      }
      const oneByOne = queues.map((queue) => new Rates(queue.name, JOBS, () => queue.drain(JOBS)));
      const inBatches = queues.map(
        (queue) => new Rates(`${queue.name}, batches`, BATCHED_JOBS, () => queue.drainInBatches(BATCHED_JOBS)),
      );
      const startsMs = queues.map((): number[] => []);
      for (let round = 1; round <= ROUNDS; round++) {
        progress(`one by one: round ${round} of ${ROUNDS}`);
        for (const rates of oneByOne) await rates.measure();
        for (const [index, queue] of queues.entries()) startsMs[index]?.push(...(await queue.latencies(LATENCY_JOBS)));
      }
      // Afterwards: what they leave behind keeps vacuum and checkpoints busy for longer than a round of the others.
      for (let round = 1; round <= ROUNDS; round++) {
        progress(`in batches: round ${round} of ${ROUNDS}`);
        for (const rates of inBatches) await rates.measure();
      }
      const starts = startsMs.map((ms) => ({ "start p50 ms": quantile(ms, 0.5), "start p99 ms": quantile(ms, 0.99) }));
      const ownClaims = { "claim p99 ms": quantile(own.claimsMs, 0.99) };
      return [
        ...besideTheFirst(oneByOne).map((row, index) => ({
          ...row,
          figures: { ...row.figures, ...starts[index], ...(index === 0 && ownClaims) },
        })),
        ...besideTheFirst(inBatches),
      ];
    } finally {
      try {
        await Promise.all(queues.map((queue) => queue.stop()));
      } finally {
        await store.stop();
      }
    }
  },
};

function besideTheFirst(all: readonly Rates[]): Measurement[] {
  return all.map((rates) => {
    const ratios = all[0]?.besides(rates) ?? [];
    const range = { "own / it": median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
    return { case: rates.name, figures: { "jobs/s": median(rates.perSecond), ...range } };
  });
}
