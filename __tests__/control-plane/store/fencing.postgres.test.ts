import type { Pool } from "pg";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { listAudit } from "../../../control-plane/store/audit";
import { openDatabase, transaction } from "../../../control-plane/store/database";
import * as holder from "../../../control-plane/store/holder";
import { applyToJob } from "../../../control-plane/store/jobs";
import type { Ref } from "../../../control-plane/store/sessions";
import { sweep } from "../../../control-plane/store/sweeper";
import { seededRandom } from "../../../scripts/seeded-random";
import { longForm } from "../../support/long-form";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { TestFleet } from "./fleet";

let postgres: TestPostgres;
let fleet: TestFleet;
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);
beforeEach(async () => {
  fleet = await TestFleet.create((await postgres.freshDatabase()).pool);
});
afterAll(() => postgres.stop(), 60_000);

const ORDERS = longForm(2_000, 10_000);
const STEPS = longForm(400, 100_000);

const checkpoint = { seq: 99, phase: "streaming", position: "0/99" } as const;
const figures = { lagBytes: 1, lagMs: 1, eventsPerSecond: 1, eventsTotal: 1, memoryBytes: 1, cpuMillicores: 1 };

const WRITES: Readonly<Record<string, (sessionId: string, ref: Ref) => Promise<unknown>>> = {
  started: (sessionId, ref) => fleet.start({ sessionId, ...ref }),
  progress: (sessionId, ref) => holder.saveCheckpoint(fleet.pool, sessionId, ref, checkpoint, "0/98"),
  report: (sessionId, ref) => fleet.report({ sessionId, ...ref, outcome: "completed", logTail: ["bye"], checkpoint }),
  release: async (sessionId, ref) =>
    (await holder.releaseJobs(fleet.pool, sessionId, [{ ...ref, checkpoint }])).length === 1 ? "fenced" : "released",
  metrics: async (sessionId, ref) =>
    (await holder.saveMetrics(fleet.pool, sessionId, [{ ...ref, ...figures }])).length === 1 ? "fenced" : "saved",
};

interface Entry {
  readonly job: string;
  readonly actor: string;
  readonly action: string;
  readonly detail: { readonly from: string; readonly to: string; readonly fence: number };
}

/** Reads in the order of commits that jobs were held by one session at a time, which alone was heard. @returns how often one was claimed */
async function holdersOf(pool: Pool): Promise<number> {
  const { rows } = await pool.query<Entry>(
    "select subject as job, actor, action, detail from audit_log where action like 'job.%' and action <> 'job.create' order by seq",
  );
  const states = new Map<string, string>();
  const holders = new Map<string, Pick<Entry, "actor"> & { readonly fence: number }>();
  for (const { job, actor, action, detail } of rows) {
    const { from, to, fence } = detail;
    expect(from).toBe(states.get(job) ?? from);
    states.set(job, to);
    if (action === "job.claim") {
      expect([from, holders.get(job)]).toEqual(["pending", undefined]);
      holders.set(job, { actor, fence });
    } else if (action === "job.ungrant") {
      expect([from, fence]).toEqual(["starting", holders.get(job)?.fence]);
    } else if (actor.startsWith("session:")) expect({ actor, fence }).toEqual(holders.get(job));
    if (to !== "starting" && to !== "running") holders.delete(job);
  }
  return rows.filter(({ action }) => action === "job.claim").length;
}

describe("control-plane 4: fencing on every write", () => {
  it.each(Object.keys(WRITES))(
    "control-plane 4: %s changes nothing with a stale fence, or from another session",
    async (name) => {
      const jobId = await fleet.job(`fenced-${name}`);
      const first = await fleet.worker(`first-${name}`);
      const stale = await fleet.run(first);
      await holder.releaseJobs(fleet.pool, first, [stale]);
      const second = await fleet.worker(`second-${name}`);
      const current = await fleet.run(second);
      expect(current).toEqual({ jobId, fence: stale.fence + 1 });
      const before = await fleet.row(jobId);

      const write = WRITES[name];
      expect(await write?.(first, stale)).toBe("fenced");
      expect(await write?.(first, current)).toBe("fenced");
      expect(await write?.(second, stale)).toBe("fenced");
      expect(await fleet.row(jobId)).toEqual(before);

      expect(await write?.(second, current)).not.toBe("fenced");
    },
  );

  it("control-plane 4: a grant is taken back only from the session that it was given to, under its fence, and before it is started", async () => {
    const jobId = await fleet.job("granted");
    const first = await fleet.worker("first");
    const stale = await fleet.run(first);
    await holder.releaseJobs(fleet.pool, first, [stale]);
    const second = await fleet.worker("second");
    const [current] = await fleet.claim(second);
    if (!current) throw new Error("no grant");
    const before = await fleet.row(jobId);

    await holder.ungrantJob(fleet.pool, first, stale);
    await holder.ungrantJob(fleet.pool, first, current);
    await holder.ungrantJob(fleet.pool, second, stale);
    expect(await fleet.row(jobId)).toEqual(before);

    await holder.ungrantJob(fleet.pool, second, current);
    expect(await fleet.row(jobId)).toMatchObject({ state: "pending", session_id: null, grant_expires_at: null });
    expect(await fleet.start({ sessionId: second, ...current })).toBe("fenced");
    const again = await fleet.run(second);
    const running = await fleet.row(jobId);
    await holder.ungrantJob(fleet.pool, second, again);
    expect(await fleet.row(jobId)).toEqual(running);
  });

  it("control-plane 26: credentials are given to the holder of the current fence alone", async () => {
    const jobId = await fleet.job("secret");
    const sessionId = await fleet.worker("secretive");
    const { fence } = await fleet.run(sessionId);

    const read = (session: string, withFence: number) => fleet.assignment(session, { jobId, fence: withFence });

    expect(await read(sessionId, fence)).toMatchObject({ spec: { source: { password: "canary-password" } } });
    expect(await read(sessionId, fence - 1)).toBeUndefined();
    expect(await read(await fleet.worker("curious"), fence)).toBeUndefined();
  });

  it("control-plane 4: a terminal report wins over whatever comes after it, and may be repeated", async () => {
    const jobId = await fleet.job("finishing");
    const sessionId = await fleet.worker("finisher");
    const ref = await fleet.run(sessionId);
    const report = { ...ref, outcome: "completed" as const, logTail: [] };

    expect(await fleet.report({ sessionId, ...report })).toBe("reported");
    expect(await fleet.report({ sessionId, ...report })).toBe("reported");
    expect(await holder.saveCheckpoint(fleet.pool, sessionId, ref, checkpoint)).toBe("fenced");
    expect(await holder.releaseJobs(fleet.pool, sessionId, [ref])).toEqual([ref]);
    expect(await fleet.row(jobId)).toMatchObject({ state: "completed", checkpoint_seq: null });
  });

  it("control-plane 27: what went wrong with a job's end stands in the audit log, also of one that was deleted", async () => {
    const jobId = await fleet.job("leaving");
    const sessionId = await fleet.worker("cleaner");
    const ref = await fleet.run(sessionId);
    await transaction(fleet.pool, (tx) => applyToJob(tx, jobId, { type: "delete" }, "test"));

    const error = "the cleanup failed: replication slot s may be left";
    expect(await fleet.report({ sessionId, ...ref, outcome: "failed", error, logTail: [] })).toBe("reported");

    expect(await fleet.row(jobId)).toMatchObject({ state: "deleted" });
    const [last] = (await listAudit(fleet.pool, fleet.deploymentId)).filter(({ action }) => action === "job.report");
    expect(last).toMatchObject({ subject: jobId, detail: { to: "deleted", error } });
  });

  it(`control-plane 10: a checkpoint never goes back, in ${ORDERS} random orders of delivery`, async () => {
    await fleet.job("progressing");
    const sessionId = await fleet.worker("progressive");
    const ref = await fleet.run(sessionId);
    const random = seededRandom(10);
    let newest = -1;
    for (let round = 0; round < ORDERS; round++) {
      const seq = Math.floor(random() * (round + 10));
      newest = Math.max(newest, seq);
      const acked = await holder.saveCheckpoint(fleet.pool, sessionId, ref, {
        seq,
        phase: "streaming",
        position: `0/${seq}`,
      });
      expect(acked).toBe(newest);
    }

    await holder.releaseJobs(fleet.pool, sessionId, [ref]);
    const next = await fleet.worker("successor");
    const granted = await fleet.run(next);
    expect(await fleet.assignment(next, granted)).toMatchObject({
      resume: { seq: newest, position: `0/${newest}` },
    });
  }, 120_000);

  it("control-plane 4: under random interleavings of four workers and a sweeper no job has two holders that started", async () => {
    const { pool } = fleet;
    const timing = { ...DEFAULT_TIMING, serverLeaseMs: 1 };
    const jobs = await Promise.all(["a", "b", "c"].map((name) => fleet.job(name)));
    const sessions = await Promise.all(["w1", "w2", "w3", "w4"].map((name) => fleet.worker(name)));
    const random = seededRandom(4);
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
    const started = new Map<string, string>();
    const ungrants = async (): Promise<number> =>
      (await pool.query("select from audit_log where action = 'job.ungrant'")).rowCount ?? 0;
    const granted: { sessionId: string; ref: Ref }[] = [];
    const step = async (): Promise<void> => {
      const sessionId = pick(sessions);
      const known = pick(granted.slice(-6));
      const roll = random();
      if (roll < 0.35) {
        for (const ref of await fleet.claim(sessionId, 2)) granted.push({ sessionId, ref });
      } else if (roll < 0.6 && known) {
        const key = `${known.ref.jobId}/${known.ref.fence}`;
        if ((await fleet.start({ sessionId: known.sessionId, ...known.ref })) === "started") {
          expect(started.get(key) ?? known.sessionId).toBe(known.sessionId);
          started.set(key, known.sessionId);
        }
      } else if (roll < 0.66 && known) {
        await holder.ungrantJob(pool, known.sessionId, known.ref);
      } else if (roll < 0.77 && known) {
        await fleet.report({ sessionId: known.sessionId, ...known.ref, outcome: "stopped", logTail: [] });
      } else if (roll < 0.85 && known) {
        await holder.releaseJobs(pool, known.sessionId, [known.ref]);
      } else if (roll < 0.87) {
        await fleet.expireLease(sessionId);
        await sweep(pool, timing);
      } else if (roll < 0.96) {
        await pool.query("update leases set expires_at = now() + interval '1 hour' where session_id = $1", [sessionId]);
      } else {
        await transaction(pool, (tx) =>
          applyToJob(tx, pick(jobs), { type: pick(["run", "run", "run", "pause", "stop"] as const) }, "test"),
        );
      }
    };
    const fences = async (): Promise<number[]> =>
      (await pool.query<{ fence: number }>("select fence from jobs")).rows.map((row) => row.fence);
    // How the four interleave is PostgreSQL's choice, so the work done in a number of rounds is too: go on until it was enough.
    let steps = 0;
    do {
      for (let round = 0; round < 100; round++) await Promise.all([step(), step(), step(), step()]);
      steps += 400;
    } while (steps < STEPS || started.size < 50 || Math.min(...(await fences())) <= 10 || (await ungrants()) < 10);
    expect(await holdersOf(pool)).toBeGreaterThan(30);
  }, 3_600_000);
});

describe("the pool", () => {
  it("ends a transaction that was left open, which would keep vacuum from every table", async () => {
    const { url } = await postgres.freshDatabase({ migrated: false });
    const pool = openDatabase(url, 1);
    const { rows } = await pool.query("show idle_in_transaction_session_timeout");
    await pool.end();

    expect(rows).toEqual([{ idle_in_transaction_session_timeout: "10s" }]);
  });
});

it("of figures that name a job twice the last ones count, and those under an old fence are fenced", async () => {
  const jobId = await fleet.job("orders");
  const worker = await fleet.worker("w");
  const ref = await fleet.run(worker);
  const stale = { ...ref, fence: ref.fence - 1 };
  const pushed = [
    { ...ref, ...figures, lagMs: 7 },
    { ...ref, ...figures, lagMs: 2 },
    { ...stale, ...figures, lagMs: 9 },
  ];

  expect(await holder.saveMetrics(fleet.pool, worker, pushed)).toEqual([stale]);

  const { rows } = await fleet.pool.query("select job_id, fence, figures from job_metrics");
  expect(rows).toEqual([{ job_id: jobId, fence: ref.fence, figures: { ...figures, lagMs: 2 } }]);
});
