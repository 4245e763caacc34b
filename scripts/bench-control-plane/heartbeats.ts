import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Bench } from "../bench/bench";
import { usageOf } from "../bench-fleet/usage";
import { type ServerProcess, startServerProcess } from "../chaos/server-process";
import { Connections } from "./connections";
import { quantile } from "./figures";
import { connectionsWithin } from "./open-files";
import { type BenchSession, type BenchStore, openSessions, startCopy, startStore } from "./plane";

const WORKERS = 10_000;
const PERIOD_MS = 10_000;
const PERIODS = 3;
/** Each worker has its own, as far as one process may have so many. */
const CONNECTIONS = connectionsWithin(WORKERS);

/** What a large fleet costs that does nothing but live. */
export const heartbeats: Bench = {
  name: "heartbeats",
  about: `${WORKERS} workers that beat every ${PERIOD_MS / 1_000} s over HTTP, each with a connection of its own: what one copy and its PostgreSQL use of one processor, and how soon a heartbeat is answered; beside a server of node:http that reads the same requests and answers as many bytes`,
  run: async () => {
    const store = await startStore();
    try {
      const sessions = await openSessions(store, WORKERS);
      const own = await beatAt(await startCopy(store), store, sessions);
      const { rows } = await store.pool.query<{ expired: number }>(
        "select count(*)::int as expired from leases where expires_at <= now()",
      );
      const bare = await beatAt(await startBareServer(store, own.answerBytes), store, sessions);
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

async function startBareServer({ directory }: BenchStore, answerBytes: number): Promise<ServerProcess> {
  return await startServerProcess({
    name: "the bare server",
    args: ["--import", "tsx", resolve(__dirname, "bare-server.ts"), `${answerBytes}`],
    cwd: resolve("."),
    logFile: join(directory, "bare-server.log"),
  });
}

/** Measures a server, after one period to warm it up, and ends it. */
async function beatAt(server: ServerProcess, store: BenchStore, sessions: readonly BenchSession[]) {
  const connections = Array.from({ length: CONNECTIONS }, () => new Connections(server, 1));
  try {
    const ackMs: number[] = [];
    let answerBytes = 0;
    let unanswered = 0;
    const beat = async (worker: number, token: string, seq: number): Promise<void> => {
      const connection = connections[worker % CONNECTIONS] as Connections;
      const at = performance.now();
      const answer = await connection.post("heartbeat", token, { seq, state: "active", running: [], released: [] });
      ackMs.push(performance.now() - at);
      answerBytes = Buffer.byteLength(answer);
    };
    const everyone = async (periods: number): Promise<void> => {
      await Promise.all(
        sessions.map(async ({ token }, index) => {
          const startedAt = performance.now();
          for (let seq = 0; seq < periods; seq++) {
            const dueMs = (index / WORKERS + seq) * PERIOD_MS;
            await pause(Math.max(0, startedAt + dueMs - performance.now()));
            await beat(index, token, seq).catch(() => {
              unanswered += 1;
            });
          }
        }),
      );
    };
    await everyone(1);
    ackMs.length = 0;
    const usage = () => ({ node: usageOf(server.pid).cpuMs, postgres: store.cpuMs() });
    const [before, at] = [usage(), performance.now()];
    await everyone(PERIODS);
    const [after, seconds] = [usage(), (performance.now() - at) / 1_000];
    const core = (key: "node" | "postgres") => (after[key] - before[key]) / seconds / 10;
    const figures = {
      "beats/s": ackMs.length / seconds,
      "Node % core": core("node"),
      "Postgres %": core("postgres"),
      "ack p50 ms": quantile(ackMs, 0.5),
      "ack p99 ms": quantile(ackMs, 0.99),
      unanswered,
    };
    return { answerBytes, nodeMsPerBeat: (after.node - before.node) / ackMs.length, figures };
  } finally {
    for (const connection of connections) connection.close();
    await server.stop();
  }
}
