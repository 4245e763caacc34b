import { setTimeout as pause } from "node:timers/promises";
import type { Bench, Measurement, Progress } from "../bench/bench";
import { usageOf } from "../bench-fleet/usage";
import { quantile } from "./figures";
import { FleetProcess, monotonicMs } from "./fleet-process";
import { hasNginx, startNginxFront } from "./nginx-front";
import { requireConnections } from "./open-files";
import { openSessions, putJobs, startCopy, startStore } from "./plane";
import { startTlsFront } from "./tls-front";
import { PARK_MS } from "./worker-pace";

const WORKERS = 10_000;
const WAKES = 600;
const IDLE_MS = 20_000;
/** Each comes again when its claim has been parked for its time: so they do evenly, as those of a fleet do that has been there for long. */
const PER_SECOND = WORKERS / (PARK_MS / 1_000);
/** The others are about to come again just then. */
const PARKED = 0.99 * WORKERS;
/** As long as connections, once made, leave garbage behind. */
const SETTLE_MS = 2_000;

/** What a large fleet costs that waits for work, and how soon one of it is woken. */
export const parkedPolls: Bench = {
  name: "parked-polls",
  about: `${WORKERS} claims parked at one copy, over HTTP, then with TLS that ends in front of it in Node.js, and where nginx is installed in that: memory, of both together, then what the idle fleet asks of PostgreSQL while all of them come again every ${PARK_MS / 1_000} s, how soon after a notification one is woken, and the memory after that; the workers are a process of their own, which is not counted`,
  run: async (progress) => {
    requireConnections(WORKERS);
    if (!hasNginx()) progress("nginx is not installed: what it takes to end TLS is not measured");
    return [
      await measure("plain", undefined, progress),
      { case: "limit, plain", figures: { "RSS MiB": 250, "queries/s": 5, "wake p99 ms": 25 } },
      await measure("TLS by Node.js", startTlsFront, progress),
      ...(hasNginx() ? [await measure("TLS by nginx", startNginxFront, progress)] : []),
      { case: "limit, TLS", figures: { "RSS MiB": 600, "queries/s": 5, "wake p99 ms": 25 } },
    ];
  },
};

async function measure(
  name: string,
  startFront: typeof startTlsFront | undefined,
  progress: Progress,
): Promise<Measurement> {
  const store = await startStore();
  const copy = await startCopy(store);
  const front = await startFront?.(copy, WORKERS, store.directory);
  const frontPids = front?.pids ?? [];
  let fleet: FleetProcess | undefined;
  try {
    const sessions = await openSessions(store, WORKERS);
    const pids = [copy.pid, ...frontPids];
    const residentMiB = (of: readonly number[]) => of.reduce((sum, pid) => sum + usageOf(pid).residentMiB, 0);
    const cpuMs = () => pids.reduce((sum, pid) => sum + usageOf(pid).cpuMs, 0);
    const emptyMiB = residentMiB(pids);
    fleet = await FleetProcess.parked({
      url: copy.url,
      roads: front?.addresses.map(({ url }) => url) ?? [copy.url],
      ...(front && { authority: front.authority }),
      tokens: sessions.map(({ token }) => token),
      perSecond: PER_SECOND,
      parked: PARKED,
    });
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
      await putJobs(store, `wake-${index}-`, 1);
      const at = monotonicMs();
      await store.pool.query("notify holdfast_wake");
      wakeMs.push((await fleet.told(`wake-${index}-1`)) - at);
      await pause(50);
    }
    return {
      case: `${WORKERS} claims, ${name}`,
      figures: {
        "RSS MiB": fullMiB,
        ...(front && { "of it TLS": inFrontMiB, processes: frontPids.length }),
        "empty MiB": emptyMiB,
        "KiB each": ((fullMiB - emptyMiB) * 1_024) / WORKERS,
        "queries/s": idle.queries,
        "Node % core": idle.core,
        "later MiB": residentMiB(pids),
        "wake p50 ms": quantile(wakeMs, 0.5),
        "wake p99 ms": quantile(wakeMs, 0.99),
      },
    };
  } finally {
    await fleet?.stop();
    await front?.stop();
    await copy.stop();
    await store.stop();
  }
}
