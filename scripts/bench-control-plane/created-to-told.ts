import { join, resolve } from "node:path";
import type { Bench } from "../bench/bench";
import { usageOf } from "../bench-fleet/usage";
import { type ServerProcess, startServerProcess } from "../chaos/server-process";
import { quantile } from "./figures";
import { Operators } from "./operators";
import { ParkedFleet } from "./parked-fleet";
import { type BenchStore, openSessions, startCopy, startStore } from "./plane";
import { requestToClaim } from "./request-to-claim";
import { steadily } from "./steadily";

const WORKERS = 1_000;
const JOBS_PER_SECOND = 100;
/** Jobs that are not counted: after ten seconds V8 has compiled what servers and clients, which go on for weeks, run for each. */
const WARM_UP = 1_000;
const JOBS = 1_000;
const DRAINED = 100;
const LISTENERS_ENDED = 10;

/** How soon what an operator asks for reaches a worker that waits for it. */
export const createdToTold: Bench = {
  name: "created-to-told",
  about: `${WORKERS} parked workers and ${JOBS_PER_SECOND} new jobs a second, each a request, the first ${WARM_UP} not counted: from the request to the answer of the claim that gets the job, beside a queue without tokens, leases, fences and audit; then from the order to drain a worker to that of its claim; and from a job's request at once after the copies' listening connections have broken`,
  run: async () => {
    const bare = await measureBareQueue();
    const own = await measure("one copy", false);
    const ratio = own.figures[P50] / bare.figures[P50];
    return [
      { ...own, figures: { ...own.figures, "p50 / bare": ratio } },
      { case: "limit", figures: { [P50]: 3, [P99]: 25, "drain p99 ms": 1_000 } },
      bare,
      await measure("two copies", true),
      { case: "limit", figures: { [P99]: 50, "drain p99 ms": 1_000, "cut max ms": 2_000 } },
    ];
  },
};

const P50 = "told p50 ms";
const P99 = "told p99 ms";

type Told = Readonly<Record<typeof P50 | typeof P99 | "CPU ms / job", number>>;

/** Parks a claim with each token, then asks for jobs at an even pace. @param servers whose processor time is counted beside PostgreSQL's */
async function loadSteadily(
  store: BenchStore,
  servers: readonly ServerProcess[],
  operators: Operators,
  fleet: ParkedFleet,
  tokens: readonly string[],
): Promise<Told> {
  for (const token of tokens) fleet.wait(token);
  await fleet.allParked(tokens.length);
  const names = Array.from({ length: WARM_UP + JOBS }, (_, index) => `job-${index}`);
  const cpuMs = () => store.cpuMs() + servers.reduce((sum, { pid }) => sum + usageOf(pid).cpuMs, 0);
  const cpuBefore = cpuMs();
  const allMs = await steadily(JOBS_PER_SECOND, names, (name) => requestToClaim(operators, fleet, name));
  const toldMs = allMs.slice(WARM_UP);
  return {
    [P50]: quantile(toldMs, 0.5),
    [P99]: quantile(toldMs, 0.99),
    "CPU ms / job": (cpuMs() - cpuBefore) / names.length,
  };
}

async function measureBareQueue(): Promise<{ readonly case: string; readonly figures: Told }> {
  const store = await startStore();
  const queue = await startServerProcess({
    name: "the bare queue",
    args: ["--import", "tsx", resolve(__dirname, "bare-queue.ts")],
    cwd: resolve("."),
    environment: { DATABASE_URL: store.url },
    logFile: join(store.directory, "bare-queue.log"),
  });
  const fleet = new ParkedFleet(queue);
  const operators = await Operators.at(queue, store);
  try {
    const nobody = Array.from({ length: WORKERS }, (_, index) => `worker-${index}`);
    return { case: "bare queue", figures: await loadSteadily(store, [queue], operators, fleet, nobody) };
  } finally {
    fleet.stop();
    operators.close();
    await queue.stop();
    await store.stop();
  }
}

/** @param apart workers wait at another copy than operators ask */
async function measure(name: string, apart: boolean) {
  const store = await startStore();
  const copy = await startCopy(store);
  const other = apart ? await startCopy(store) : undefined;
  const fleet = new ParkedFleet(other ?? copy);
  const operators = await Operators.at(copy, store);
  try {
    const sessions = await openSessions(store, WORKERS, 200);
    const tokens = sessions.map(({ token }) => token);
    const told = await loadSteadily(store, other ? [copy, other] : [copy], operators, fleet, tokens);

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
        ...told,
        "drain p50 ms": quantile(drainMs, 0.5),
        "drain p99 ms": quantile(drainMs, 0.99),
        "cut max ms": quantile(cutMs, 1),
      },
    };
  } finally {
    fleet.stop();
    operators.close();
    await other?.stop();
    await copy.stop();
    await store.stop();
  }
}
