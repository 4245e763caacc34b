import type { Bench, Measurement } from "../bench/bench";
import { usageOf } from "../bench-fleet/usage";
import { quantile } from "./figures";
import { Operators } from "./operators";
import { ParkedFleet } from "./parked-fleet";
import { openSessions, startCopy, startStore } from "./plane";
import { requestToClaim } from "./request-to-claim";
import { steadily } from "./steadily";

const WORKERS = 1_000;
const JOBS_PER_SECOND = 100;
const WARM_UP = 200;
const JOBS = 1_000;
const DRAINED = 100;
const LISTENERS_ENDED = 10;

/** How soon what an operator asks for reaches a worker that waits for it. */
export const createdToTold: Bench = {
  name: "created-to-told",
  about: `${WORKERS} parked workers and ${JOBS_PER_SECOND} new jobs a second, each a request: from the request to the answer of the claim that gets the job; then from the order to drain a worker to that of its claim; and from a job's request at once after the copies' listening connections have broken`,
  run: async () => [
    await measure("one copy", false),
    { case: "limit", figures: { "told p50 ms": 3, "told p99 ms": 25, "drain p99 ms": 1_000 } },
    await measure("two copies", true),
    { case: "limit", figures: { "told p99 ms": 50, "drain p99 ms": 1_000, "cut max ms": 2_000 } },
  ],
};

/** @param apart workers wait at another copy than operators ask */
async function measure(name: string, apart: boolean): Promise<Measurement> {
  const store = await startStore();
  const copy = await startCopy(store);
  const other = apart ? await startCopy(store) : undefined;
  const fleet = new ParkedFleet(other ?? copy);
  const operators = await Operators.at(copy, store);
  try {
    const sessions = await openSessions(store, WORKERS, 200);
    for (const { token } of sessions) fleet.wait(token);
    await fleet.allParked(WORKERS);
    const names = Array.from({ length: WARM_UP + JOBS }, (_, index) => `job-${index}`);
    const cpuMs = () =>
      store.cpuMs() + [copy, ...(other ? [other] : [])].reduce((sum, { pid }) => sum + usageOf(pid).cpuMs, 0);
    const cpuBefore = cpuMs();
    const allMs = await steadily(JOBS_PER_SECOND, names, (name) => requestToClaim(operators, fleet, name));
    const toldMs = allMs.slice(WARM_UP);
    const cpuMsPerJob = (cpuMs() - cpuBefore) / names.length;

    const drainMs: number[] = [];
    for (const { id, token } of sessions.slice(0, DRAINED)) {
      const at = performance.now();
      await operators.drain(id);
      drainMs.push((await fleet.told(token)) - at);
    }

    const cutMs: number[] = [];
    for (let round = 0; round < LISTENERS_ENDED; round++) {
      await store.pool.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holdfast listener'",
      );
      cutMs.push(await requestToClaim(operators, fleet, `cut-${round}`));
    }
    return {
      case: name,
      figures: {
        "told p50 ms": quantile(toldMs, 0.5),
        "told p99 ms": quantile(toldMs, 0.99),
        "CPU ms / job": cpuMsPerJob,
        "drain p50 ms": quantile(drainMs, 0.5),
        "drain p99 ms": quantile(drainMs, 0.99),
        "cut max ms": quantile(cutMs, 1),
      },
    };
  } finally {
    await fleet.stop();
    operators.close();
    await other?.stop();
    await copy.stop();
    await store.stop();
  }
}
