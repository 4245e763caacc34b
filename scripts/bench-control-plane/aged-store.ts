import { Heartbeats, RENEW } from "../../control-plane/store/heartbeats";
import { deletePast } from "../../control-plane/store/retention";
import type { Bench, Measurement } from "../bench/bench";
import { claimTimes } from "./claim-times";
import { median, quantile } from "./figures";
import { type BenchStore, openSessions, putJobs, startStore, TIMING } from "./plane";
import { steadily } from "./steadily";

const WORKERS = 10_000;
/** A tenth of what the limit is for: more would take an hour. */
const BEATS = 5_000_000;
const JOBS = 100_000;
const BEATS_AT_ONCE = 2_000;
const JOBS_AT_ONCE = 2_000;
const DAYS = 1;
const ROUNDS = 5;
const CLAIMS = 1_000;
const TIMED_BEATS = 2_000;
const BEATS_PER_SECOND = 200;
const AT_MOST = 1.2;

/** Whether heartbeats and claims are slower for all that came before them. */
export const agedStore: Bench = {
  name: "aged-store",
  about: `heartbeats of ${WORKERS.toLocaleString("en")} workers, each in a transaction of its own, and claims, of a store through which ${BEATS.toLocaleString("en")} heartbeats and ${JOBS.toLocaleString("en")} jobs have gone, beside a new one; median of the p99 of ${ROUNDS} interleaved rounds`,
  run: async (progress) => {
    const stores = { aged: await startStore(), new: await startStore() };
    try {
      const fleets = [];
      for (const [name, store] of Object.entries(stores)) {
        const sessions = await openSessions(store, WORKERS);
        fleets.push({ name, store, sessions, claimP99s: [] as number[], beatP99s: [] as number[] });
      }
      await beatOften(stores.aged, progress);
      await comeAndGo(stores.aged, progress);
      for (let round = 1; round <= ROUNDS; round++) {
        progress(`round ${round} of ${ROUNDS}`);
        for (const { store, sessions, claimP99s, beatP99s } of fleets) {
          const heartbeats = new Heartbeats(store.pool, TIMING.serverLeaseMs, 0);
          const beatMs = await steadily(BEATS_PER_SECOND, sessions.slice(0, TIMED_BEATS), async (session) => {
            const at = performance.now();
            const beating = { tokenId: session.tokenId, sessionId: session.id };
            const renewal = await heartbeats.beat(beating, "open", { running: [], released: [] });
            if (renewal === "refused") throw new Error("a heartbeat was refused");
            return performance.now() - at;
          });
          beatP99s.push(quantile(beatMs, 0.99));
          claimP99s.push(quantile(await claimTimes(store, `round-${round}-`, CLAIMS), 0.99));
        }
      }
      const [aged, fresh] = fleets.map(({ name, claimP99s, beatP99s }): Measurement => {
        return { case: name, figures: { "heartbeat p99 ms": median(beatP99s), "claim p99 ms": median(claimP99s) } };
      });
      if (!aged || !fresh) throw new Error("two stores were asked for");
      const ratio = Object.fromEntries(
        Object.entries(aged.figures).map(([name, ms]) => [name, Number(ms) / Number(fresh.figures[name])]),
      );
      const limit = Object.fromEntries(Object.keys(ratio).map((name) => [name, AT_MOST]));
      return [aged, fresh, { case: "aged / new", figures: ratio }, { case: "limit", figures: limit }];
    } finally {
      await Promise.all(Object.values(stores).map((store) => store.stop()));
    }
  },
};

async function beatOften({ pool }: BenchStore, progress: (done: string) => void): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("set statement_timeout = 0");
    const anybody = `select array(select id from tokens where kind = 'worker' order by random() limit ${BEATS_AT_ONCE}) as ids`;
    for (let beats = 0; beats < BEATS; beats += BEATS_AT_ONCE) {
      const { rows } = await client.query<{ ids: string[] }>(anybody);
      await client.query({ name: "age", text: RENEW, values: [rows[0]?.ids, 3_600] });
      if (beats % 500_000 === 0) progress(`${beats.toLocaleString("en")} of ${BEATS.toLocaleString("en")} heartbeats`);
    }
  } finally {
    client.release(true);
  }
}

/** Jobs that ended days ago, each deleted in its turn by what the control plane keeps of the past. */
async function comeAndGo(store: BenchStore, progress: (done: string) => void): Promise<void> {
  for (let jobs = 0; jobs < JOBS; jobs += JOBS_AT_ONCE) {
    await putJobs(store, `gone-${jobs}-`, JOBS_AT_ONCE);
    await store.pool.query("update jobs set state = 'completed' where state = 'pending'");
    await store.pool.query("update jobs set state = 'deleted' where state = 'completed'");
    await store.pool.query(
      "update jobs set deleted_at = now() - make_interval(days => $1 + 1) where state = 'deleted'",
      [DAYS],
    );
    const deleted = await deletePast(store.pool, DAYS);
    if (deleted < JOBS_AT_ONCE) throw new Error(`${deleted} of ${JOBS_AT_ONCE} jobs were deleted for their age`);
    if (jobs % 20_000 === 0) progress(`${jobs.toLocaleString("en")} of ${JOBS.toLocaleString("en")} jobs`);
  }
}
