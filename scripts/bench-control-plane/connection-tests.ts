import { setTimeout as pause } from "node:timers/promises";
import { DEFAULT_TIMING } from "../../control-plane/lease/timing";
import type { Bench, Measurement } from "../bench/bench";
import { until } from "../chaos/until";
import { BeatingFleet } from "./beating-fleet";
import { ConnectionTesters } from "./connection-testers";
import { quantile } from "./figures";
import { Operators } from "./operators";
import { ParkedFleet } from "./parked-fleet";
import { openSessions, startCopy, startStore } from "./plane";
import { putRunningJobs } from "./population";

const WORKERS = 100;
const TESTS = 100;
const TARGET_MS = 200;
const LOOK_MS = 25;
const LIMIT_MS = 3_000;
const PATIENCE_MS = 60_000;

/** How much longer than the database itself a connection test takes. */
export const connectionTests: Bench = {
  name: "connection-tests",
  about: `${TESTS} connection tests, one after the other, of a target that takes ${TARGET_MS} ms, by ${WORKERS} workers that wait for jobs and beat every ${DEFAULT_TIMING.heartbeatMs / 1_000} s; then by the same workers while each slot has a job, so that they wait for orders alone: from an operator's request until a look shows the answer, less the target's time, with a look every ${LOOK_MS} ms`,
  run: async (progress) => {
    const store = await startStore();
    const copy = await startCopy(store, { timing: DEFAULT_TIMING });
    const operators = await Operators.at(copy, store);
    const testers = new ConnectionTesters(copy, TARGET_MS);
    const waiting = new ParkedFleet(copy, [copy], testers.obey);
    const full = new ParkedFleet(copy, [copy], testers.obey, 0);
    const living = new BeatingFleet([copy], WORKERS, 1, testers.obey);
    try {
      const sessions = await openSessions(store, WORKERS, 1);
      const tokens = sessions.map(({ token }) => token);
      living.begin(tokens, DEFAULT_TIMING.heartbeatMs);
      for (const token of tokens) waiting.wait(token);
      await waiting.allParked(WORKERS);
      await living.allRenewed(0);

      const freeMs = await testsMs(operators);
      progress("every slot gets a job");

      waiting.stop();
      const source = sessions.map(() => store.datasourceId);
      await putRunningJobs(store, sessions, source);
      await until("every claim has ended", PATIENCE_MS, async () =>
        (await full.figure("holdfast_parked_claims")) === 0 ? true : undefined,
      );
      for (const token of tokens) full.wait(token);
      await full.allParked(WORKERS);
      const fullMs = await testsMs(operators);
      return [
        measurement("slots are free", freeMs),
        measurement("all slots are full", fullMs),
        { case: "limit", figures: { "p95 ms": LIMIT_MS, "of limit": 1 } },
      ];
    } finally {
      living.stop();
      waiting.stop();
      full.stop();
      testers.close();
      operators.close();
      await copy.stop();
      await store.stop();
    }
  },
};

/** One after the other. */
async function testsMs(operators: Operators): Promise<number[]> {
  const tookMs: number[] = [];
  for (let test = 0; test < TESTS; test++) tookMs.push(await beyondTargetMs(operators));
  return tookMs;
}

/** @throws Error where a test ends without an answer. */
async function beyondTargetMs(operators: Operators): Promise<number> {
  const at = performance.now();
  const testId = await operators.test();
  for (;;) {
    const state = await operators.testState(testId);
    if (state === "answered") return performance.now() - at - TARGET_MS;
    if (state !== "waiting") throw new Error(`connection test ${testId} is ${state}`);
    await pause(LOOK_MS);
  }
}

function measurement(name: string, ms: readonly number[]): Measurement {
  const p95 = quantile(ms, 0.95);
  const figures = { "p50 ms": quantile(ms, 0.5), "p95 ms": p95, "max ms": quantile(ms, 1), "of limit": p95 / LIMIT_MS };
  return { case: name, figures };
}
