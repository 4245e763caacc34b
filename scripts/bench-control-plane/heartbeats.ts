import { setTimeout as pause } from "node:timers/promises";
import type { Bench } from "../bench/bench";
import { usageOf } from "../bench-fleet/usage";
import { Connections } from "./connections";
import { quantile } from "./figures";
import { openSessions, startCopy, startStore } from "./plane";

const WORKERS = 10_000;
const PERIOD_MS = 10_000;
const PERIODS = 3;

/** What a large fleet costs that does nothing but live. */
export const heartbeats: Bench = {
  name: "heartbeats",
  about: `${WORKERS} workers that beat every ${PERIOD_MS / 1_000} s over HTTP: what one copy and its PostgreSQL use of one processor, and how soon a heartbeat is answered`,
  run: async () => {
    const store = await startStore();
    const copy = await startCopy(store);
    const connections = new Connections(copy.url);
    try {
      const sessions = await openSessions(store, WORKERS);
      const ackMs: number[] = [];
      let unanswered = 0;
      const beat = async (token: string, seq: number): Promise<void> => {
        const at = performance.now();
        await connections.post("heartbeat", token, { seq, state: "active", running: [], released: [] });
        ackMs.push(performance.now() - at);
      };
      const everyone = async (periods: number): Promise<void> => {
        await Promise.all(
          sessions.map(async ({ token }, index) => {
            const startedAt = performance.now();
            for (let seq = 0; seq < periods; seq++) {
              const dueMs = (index / WORKERS + seq) * PERIOD_MS;
              await pause(Math.max(0, startedAt + dueMs - performance.now()));
              await beat(token, seq).catch(() => {
                unanswered += 1;
              });
            }
          }),
        );
      };
      await everyone(1);
      ackMs.length = 0;
      const usage = () => ({ node: usageOf(copy.pid).cpuMs, postgres: store.cpuMs() });
      const [before, at] = [usage(), performance.now()];
      await everyone(PERIODS);
      const [after, seconds] = [usage(), (performance.now() - at) / 1_000];
      const { rows } = await store.pool.query<{ expired: number }>(
        "select count(*)::int as expired from leases where expires_at <= now()",
      );
      const core = (key: "node" | "postgres") => (after[key] - before[key]) / seconds / 10;
      return [
        {
          case: `${WORKERS} workers`,
          figures: {
            "beats/s": ackMs.length / seconds,
            "Node % core": core("node"),
            "Postgres %": core("postgres"),
            "ack p50 ms": quantile(ackMs, 0.5),
            "ack p99 ms": quantile(ackMs, 0.99),
            expired: rows[0]?.expired ?? Number.NaN,
            unanswered,
          },
        },
        {
          case: "limit",
          figures: { "Node % core": 10, "Postgres %": 5, "ack p99 ms": 100, expired: 0, unanswered: 0 },
        },
      ];
    } finally {
      connections.close();
      await copy.stop();
      await store.stop();
    }
  },
};
