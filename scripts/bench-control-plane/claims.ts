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
const WITH_STARTS = "holdfast, starts told";

/** Jobs per second, and how soon a job that is created is begun, beside two queues of others on the same server. */
export const claims: Bench = {
  name: "claims",
  about: `${JOBS} jobs taken and completed one by one by ${CLIENTS} clients, ${BATCHED_JOBS} in batches, also with each job's start told, and the time from a job's creation to its start; median of ${ROUNDS} interleaved rounds, of their ratios also the least and the most`,
  run: async (progress) => {
    const store = await startStore();
    const queues: Queue[] = [];
    try {
      const own = await ownQueue(store, CLIENTS);
      queues.push(own);
      for (const peer of ["graphile-worker", "pg-boss"] as const) {
        queues.push(await startPeer(peer, store.url, CLIENTS));
      }
      const drained = [own, { name: WITH_STARTS, ...own.withStarts }, ...queues.slice(1)];
      const oneByOne = drained.map((queue) => new Rates(queue.name, JOBS, () => queue.drain(JOBS)));
      const inBatches = drained.map(
        (queue) => new Rates(queue.name, BATCHED_JOBS, () => queue.drainInBatches(BATCHED_JOBS)),
      );
      const startsMs = new Map(queues.map(({ name }): [string, number[]] => [name, []]));
      for (let round = 1; round <= ROUNDS; round++) {
        progress(`one by one: round ${round} of ${ROUNDS}`);
        for (const rates of oneByOne) await rates.measure();
        for (const queue of queues) startsMs.get(queue.name)?.push(...(await queue.latencies(LATENCY_JOBS)));
      }
      // Afterwards: what they leave behind keeps vacuum and checkpoints busy for longer than a round of the others.
      for (let round = 1; round <= ROUNDS; round++) {
        progress(`in batches: round ${round} of ${ROUNDS}`);
        for (const rates of inBatches) await rates.measure();
      }
      const starts = (name: string) => {
        const ms = startsMs.get(name);
        return ms && { "start p50 ms": quantile(ms, 0.5), "start p99 ms": quantile(ms, 0.99) };
      };
      const ownClaims = { "claim p99 ms": quantile(own.claimsMs, 0.99) };
      return [
        ...compared(oneByOne).map((row, index) => ({
          ...row,
          figures: { ...row.figures, ...starts(row.case), ...(index === 0 && ownClaims) },
        })),
        ...compared(inBatches).map((row) => ({ ...row, case: `${row.case}, batches` })),
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

/** The first beside all, and the second, which is this project's too, beside the others. */
function compared([own, withStarts, ...others]: readonly Rates[]): Measurement[] {
  if (!own || !withStarts) return [];
  return [own, withStarts, ...others].map((rates) => {
    const ratios = own.besides(rates);
    const range = { "own / it": median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
    const third = others.includes(rates) && { "with starts / it": median(withStarts.besides(rates)) };
    return { case: rates.name, figures: { "jobs/s": median(rates.perSecond), ...range, ...third } };
  });
}
