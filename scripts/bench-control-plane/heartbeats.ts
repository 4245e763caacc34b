import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Bench } from "../bench/bench";
import { usageOf } from "../bench-fleet/usage";
import { type ServerProcess, startServerProcess } from "../chaos/server-process";
import { BeatingFleet } from "./beating-fleet";
import { quantile } from "./figures";
import { connectionsWithin } from "./open-files";
import { type BenchSession, type BenchStore, openSessions, startCopy, startStore, TIMING } from "./plane";

const WORKERS = 10_000;
const PERIOD_MS = TIMING.heartbeatMs;
const PERIODS = 3;
/** Each worker has its own, as far as one process may have so many. */
const CONNECTIONS = connectionsWithin(WORKERS);

/** What a large fleet costs that does nothing but live. */
export const heartbeats: Bench = {
  name: "heartbeats",
  about: `${WORKERS} workers that beat every ${PERIOD_MS / 1_000} s over HTTP, each with a connection of its own: what one copy and its PostgreSQL use of one processor, and how soon a heartbeat is answered; beside a server of node:http that reads the same requests, answers as many bytes and has each worker come by itself`,
  run: async () => {
    const store = await startStore();
    try {
      const sessions = await openSessions(store, WORKERS);
      const own = await beatAt(await startCopy(store), store, sessions);
      const { rows } = await store.pool.query<{ expired: number }>(
        "select count(*)::int as expired from leases where expires_at <= now()",
      );
      const bare = await beatAt(await startBareServer(store), store, sessions);
      return [
        {
          case: `${WORKERS} workers`,
          figures: {
            ...own.figures,
            expired: rows[0]?.expired ?? Number.NaN,
            "Node / bare": own.nodeMsPerBeat / bare.nodeMsPerBeat,
          },
        },
        { case: "bare node:http", figures: bare.figures },
        {
          case: "limit",
          figures: { "Node % core": 10, "Postgres %": 5, "ack p99 ms": 100, expired: 0, unanswered: 0 },
        },
      ];
    } finally {
      await store.stop();
    }
  },
};

/** As the control plane's, but for every worker the same period: they come as they are, each by itself. */
const BARE_ANSWER = JSON.stringify({ leaseMs: TIMING.workerLeaseMs, nextMs: PERIOD_MS, actions: [] });

async function startBareServer({ directory }: BenchStore): Promise<ServerProcess> {
  return await startServerProcess({
    name: "the bare server",
    args: ["--import", "tsx", resolve(__dirname, "bare-server.ts"), BARE_ANSWER],
    cwd: resolve("."),
    logFile: join(directory, "bare-server.log"),
  });
}

/** Measures a server, after a period in which the workers begin and one to warm it up, and ends it. */
async function beatAt(server: ServerProcess, store: BenchStore, sessions: readonly BenchSession[]) {
  const fleet = new BeatingFleet([server], CONNECTIONS, 1);
  try {
    fleet.begin(
      sessions.map(({ token }) => token),
      PERIOD_MS,
    );
    await pause(2 * PERIOD_MS);
    fleet.forget();
    const usage = () => ({ node: usageOf(server.pid).cpuMs, postgres: store.cpuMs() });
    const [before, at] = [usage(), performance.now()];
    await pause(PERIODS * PERIOD_MS);
    const [after, seconds] = [usage(), (performance.now() - at) / 1_000];
    const { ackMs, unanswered } = fleet;
    const core = (key: "node" | "postgres") => (after[key] - before[key]) / seconds / 10;
    const figures = {
      "beats/s": ackMs.length / seconds,
      "Node % core": core("node"),
      "Postgres %": core("postgres"),
      "ack p50 ms": quantile(ackMs, 0.5),
      "ack p99 ms": quantile(ackMs, 0.99),
      unanswered,
    };
    return { nodeMsPerBeat: (after.node - before.node) / ackMs.length, figures };
  } finally {
    fleet.stop();
    await server.stop();
  }
}
