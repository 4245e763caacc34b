import { setTimeout as pause } from "node:timers/promises";
import type { Bench } from "../bench/bench";
import { usageOf } from "../bench-fleet/usage";
import { quantile } from "./figures";
import { ParkedFleet } from "./parked-fleet";
import { openSessions, putJobs, startCopy, startStore } from "./plane";

const WORKERS = 10_000;
const WAKES = 30;
const IDLE_MS = 20_000;

/** What a large fleet costs that waits for work, and how soon one of it is woken. */
export const parkedPolls: Bench = {
  name: "parked-polls",
  about: `${WORKERS} claims parked at one copy: its memory, what the idle fleet asks of PostgreSQL, how soon one is woken, and how soon all are parked again after a restart`,
  run: async () => {
    const store = await startStore();
    let copy = await startCopy(store);
    const port = Number(new URL(copy.url).port);
    const fleet = new ParkedFleet(copy);
    try {
      const sessions = await openSessions(store, WORKERS);
      const emptyMiB = usageOf(copy.pid).residentMiB;
      for (const { token } of sessions) fleet.wait(token);
      await fleet.allParked(WORKERS);
      const residentMiB = usageOf(copy.pid).residentMiB;

      const scans = async () => {
        const { rows } = await store.pool.query<{ scans: number }>(
          "select (seq_scan + idx_scan)::int as scans from pg_stat_user_tables where relname = 'ready_jobs'",
        );
        return rows[0]?.scans ?? 0;
      };
      await pause(2_000);
      const before = { scans: await scans(), cpuMs: usageOf(copy.pid).cpuMs, at: performance.now() };
      await pause(IDLE_MS);
      const seconds = (performance.now() - before.at) / 1_000;
      const idle = {
        queries: ((await scans()) - before.scans) / seconds,
        core: (usageOf(copy.pid).cpuMs - before.cpuMs) / seconds / 10,
      };

      const wakeMs: number[] = [];
      for (let index = 0; index < WAKES; index++) {
        const at = performance.now();
        await putJobs(store, `wake-${index}-`, 1);
        await store.pool.query("notify holdfast_wake");
        wakeMs.push((await fleet.told(`wake-${index}-1`)) - at);
        await pause(50);
      }

      await copy.stop();
      const restartedAt = performance.now();
      copy = await startCopy(store, port);
      await fleet.allParked(WORKERS);
      const backSeconds = (performance.now() - restartedAt) / 1_000;
      return [
        {
          case: `${WORKERS} claims`,
          figures: {
            "RSS MiB": residentMiB,
            "KiB each": ((residentMiB - emptyMiB) * 1_024) / WORKERS,
            "queries/s": idle.queries,
            "Node % core": idle.core,
            "wake p50 ms": quantile(wakeMs, 0.5),
            "wake p99 ms": quantile(wakeMs, 0.99),
            "all back s": backSeconds,
          },
        },
        { case: "limit", figures: { "RSS MiB": 250, "queries/s": 5, "wake p99 ms": 25, "all back s": 60 } },
      ];
    } finally {
      await fleet.stop();
      await copy.stop();
      await store.stop();
    }
  },
};
