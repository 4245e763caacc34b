import { setTimeout as pause } from "node:timers/promises";
import type { Bench } from "../bench/bench";
import { Connections } from "./connections";
import { quantile } from "./figures";
import { Operators } from "./operators";
import { ParkedFleet } from "./parked-fleet";
import { openSessions, startCopy, startStore } from "./plane";
import { requestToClaim } from "./request-to-claim";
import { steadily } from "./steadily";

const WORKERS = 500;
const BEAT_MS = 10_000;
const JOBS_PER_SECOND = 20;
const JOBS = 600;

/** What one machine, with a PostgreSQL of its own, answers a fleet as most have. */
export const smallFleet: Bench = {
  name: "small-fleet",
  about: `${WORKERS} workers that beat every ${BEAT_MS / 1_000} s and take ${JOBS_PER_SECOND} jobs a second from one copy: how soon they are told and heard, how long its event loop is held up, and how soon it is back after a restart`,
  run: async () => {
    const store = await startStore();
    let copy = await startCopy(store);
    const operators = await Operators.at(copy, store);
    const fleet = new ParkedFleet(copy);
    const connections = new Connections(copy);
    try {
      const sessions = await openSessions(store, WORKERS, 200);
      for (const { token } of sessions) fleet.wait(token);
      await fleet.allParked(WORKERS);

      let over = false;
      const ackMs: number[] = [];
      const beats = steadily((WORKERS * 1_000) / BEAT_MS, sessions, async ({ token }) => {
        for (let seq = 0; !over; seq++) {
          const at = performance.now();
          await connections.post("heartbeat", token, { seq, state: "active", running: [], released: [] });
          ackMs.push(performance.now() - at);
          await pause(BEAT_MS);
        }
      });
      await fleet.figure("holdfast_event_loop_stall_seconds");
      const names = Array.from({ length: JOBS }, (_, index) => `job-${index}`);
      const toldMs = await steadily(JOBS_PER_SECOND, names, (name) => requestToClaim(operators, fleet, name));
      const stallMs = (await fleet.figure("holdfast_event_loop_stall_seconds")) * 1_000;
      over = true;
      await beats;

      fleet.stop();
      await copy.stop();
      const restartedAt = performance.now();
      copy = await startCopy(store);
      const restartSeconds = (performance.now() - restartedAt) / 1_000;
      return [
        {
          case: `${WORKERS} workers`,
          figures: {
            "told p50 ms": quantile(toldMs, 0.5),
            "told p99 ms": quantile(toldMs, 0.99),
            "ack p99 ms": quantile(ackMs, 0.99),
            "stall ms": stallMs,
            "restart s": restartSeconds,
          },
        },
        { case: "limit", figures: { "told p99 ms": 50, "stall ms": 50, "restart s": 1.5 } },
      ];
    } finally {
      fleet.stop();
      operators.close();
      connections.close();
      await copy.stop();
      await store.stop();
    }
  },
};
