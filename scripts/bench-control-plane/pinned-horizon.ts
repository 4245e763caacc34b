import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Bench } from "../bench/bench";
import { until } from "../chaos/until";
import { claimTimes } from "./claim-times";
import { quantile } from "./figures";
import { type BenchStore, putJobs, startCopy, startStore } from "./plane";

const CLAIMS_PER_SECOND = 100;
const CLAIMS = 2_000;
const PINNED_MINUTES = 10;
const PATIENCE_MS = 120_000;
const ALARM = "an old transaction keeps vacuum from every table";

/** What a forgotten transaction does to claims, and how soon somebody hears of it. */
export const pinnedHorizon: Bench = {
  name: "pinned-horizon",
  about: `${CLAIMS_PER_SECOND} claims a second, before and after somebody left a transaction open behind which the rows of ${PINNED_MINUTES} minutes of such claims stay, made in one go; and how soon it is told`,
  run: async () => {
    const store = await startStore();
    const copy = await startCopy(store);
    const idle = await store.pool.connect();
    try {
      const before = await claimTimes(store, "before-", CLAIMS);
      await idle.query("set idle_in_transaction_session_timeout = 0");
      await idle.query("begin isolation level repeatable read");
      await idle.query("select pg_current_xact_id()");
      const begunAt = performance.now();
      const alarm = until("the alarm", PATIENCE_MS, async () => {
        return readFileSync(join(store.directory, "control-plane.log"), "utf8").includes(ALARM)
          ? (performance.now() - begunAt) / 1_000
          : undefined;
      });
      await comeAndGo(store, PINNED_MINUTES * 60 * CLAIMS_PER_SECOND);
      const after = await claimTimes(store, "after-", CLAIMS);
      const figures = (ms: readonly number[]) => ({
        "claim p50 ms": quantile(ms, 0.5),
        "claim p99 ms": quantile(ms, 0.99),
      });
      return [
        { case: "free", figures: figures(before) },
        { case: "pinned", figures: { ...figures(after), "told after s": await alarm } },
        { case: "limit", figures: { "claim p99 ms": 50, "told after s": 60 } },
      ];
    } finally {
      idle.release(true);
      await copy.stop();
      await store.stop();
    }
  },
};

/** Jobs that were ready in the minutes before and are gone again, as those that were claimed. */
async function comeAndGo(store: BenchStore, jobs: number): Promise<void> {
  const portion = 5_000;
  for (let from = 0; from < jobs; from += portion) {
    await putJobs(store, `gone-${from}-`, portion, (jobs - from) / CLAIMS_PER_SECOND);
    await store.pool.query("update jobs set state = 'completed' where state = 'pending'");
  }
}
