import { setTimeout as pause } from "node:timers/promises";
import type { Bench, Measurement, Progress } from "../bench/bench";
import { usageOf } from "../bench-fleet/usage";
import { quantile } from "./figures";
import { requireConnections } from "./open-files";
import { ParkedFleet } from "./parked-fleet";
import { openSessions, putJobs, startCopy, startStore } from "./plane";
import { steadily } from "./steadily";
import { startTlsFront } from "./tls-front";

const WORKERS = 10_000;
const WAKES = 200;
const IDLE_MS = 20_000;
/** All at once would leave the memory of a rush behind. */
const COMING_SECONDS = 20;
/** As long as connections, once made, leave garbage behind. */
const SETTLE_MS = 2_000;

/** What a large fleet costs that waits for work, and how soon one of it is woken. */
export const parkedPolls: Bench = {
  name: "parked-polls",
  about: `${WORKERS} claims parked at one copy, over HTTP, then with TLS that ends in front of it in Node.js: memory, of both together, what the idle fleet asks of PostgreSQL, and how soon one is woken`,
  run: async (progress) => {
    requireConnections(WORKERS);
    return [
      await measure("plain", false, progress),
      { case: "limit, plain", figures: { "RSS MiB": 250, "queries/s": 5, "wake p99 ms": 25 } },
      await measure("TLS", true, progress),
      { case: "limit, TLS", figures: { "RSS MiB": 600, "queries/s": 5, "wake p99 ms": 25 } },
    ];
  },
};

async function measure(name: string, isSecure: boolean, progress: Progress): Promise<Measurement> {
  const store = await startStore();
  const copy = await startCopy(store);
  const front = isSecure ? await startTlsFront(copy, WORKERS, store.directory) : undefined;
  const frontPids = front?.pids ?? [];
  const fleet = new ParkedFleet(copy, front?.addresses);
  try {
    const sessions = await openSessions(store, WORKERS);
    const pids = [copy.pid, ...frontPids];
    const residentMiB = (of: readonly number[]) => of.reduce((sum, pid) => sum + usageOf(pid).residentMiB, 0);
    const cpuMs = () => pids.reduce((sum, pid) => sum + usageOf(pid).cpuMs, 0);
    const emptyMiB = residentMiB(pids);
    await steadily(WORKERS / COMING_SECONDS, sessions, async ({ token }) => fleet.wait(token));
    await fleet.allParked(WORKERS);
    progress(`${name}: all are parked`);
    await pause(SETTLE_MS);
    const fullMiB = residentMiB(pids);
    const inFrontMiB = residentMiB(frontPids);

    const scans = async () => {
      const { rows } = await store.pool.query<{ scans: number }>(
        "select (seq_scan + idx_scan)::int as scans from pg_stat_user_tables where relname = 'ready_jobs'",
      );
      return rows[0]?.scans ?? 0;
    };
    const before = { scans: await scans(), cpuMs: cpuMs(), at: performance.now() };
    await pause(IDLE_MS);
    const seconds = (performance.now() - before.at) / 1_000;
    const idle = { queries: ((await scans()) - before.scans) / seconds, core: (cpuMs() - before.cpuMs) / seconds / 10 };

    const wakeMs: number[] = [];
    for (let index = 0; index < WAKES; index++) {
      const at = performance.now();
      await putJobs(store, `wake-${index}-`, 1);
      await store.pool.query("notify holdfast_wake");
      wakeMs.push((await fleet.told(`wake-${index}-1`)) - at);
      await pause(50);
    }
    return {
      case: `${WORKERS} claims, ${name}`,
      figures: {
        "RSS MiB": fullMiB,
        ...(isSecure && { "of it TLS": inFrontMiB, processes: frontPids.length }),
        "empty MiB": emptyMiB,
        "KiB each": ((fullMiB - emptyMiB) * 1_024) / WORKERS,
        "queries/s": idle.queries,
        "Node % core": idle.core,
        "wake p50 ms": quantile(wakeMs, 0.5),
        "wake p99 ms": quantile(wakeMs, 0.99),
      },
    };
  } finally {
    await fleet.stop();
    await front?.stop();
    await copy.stop();
    await store.stop();
  }
}
