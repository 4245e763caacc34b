import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { DEFAULT_TIMING, LeaseTiming } from "../../../control-plane/lease/timing";
import { listAudit } from "../../../control-plane/store/audit";
import { openDatabase, transaction } from "../../../control-plane/store/database";
import { Heartbeats } from "../../../control-plane/store/heartbeats";
import { applyToJob } from "../../../control-plane/store/jobs";
import { declareGone, openSession } from "../../../control-plane/store/sessions";
import { EXPIRED_LEASES, pulse, sweep } from "../../../control-plane/store/sweeper";
import { lockWaits } from "../../support/lock-waits";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { TestFleet } from "./fleet";

const QUICK = { ...DEFAULT_TIMING, serverLeaseMs: 1 };
const NOTHING = { running: [], released: [] };

let postgres: TestPostgres;
let fleet: TestFleet;
let heartbeats: Heartbeats;
const pools: Pool[] = [];
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);
afterAll(async () => {
  for (const pool of pools) await pool.end();
  await postgres.stop();
}, 60_000);
beforeEach(async () => {
  fleet = await TestFleet.create((await postgres.freshDatabase()).pool);
  heartbeats = new Heartbeats(fleet.pool, DEFAULT_TIMING.serverLeaseMs, 5);
});

/** A database that says of itself since when it has been up: the test's function hides PostgreSQL's. */
async function withStartOfPostgres() {
  const { pool: admin, url } = await postgres.freshDatabase();
  await admin.query(`alter database ${new URL(url).pathname.slice(1)} set search_path = public, pg_catalog`);
  const pool = openDatabase(url, 2);
  pools.push(pool);
  const startedAgo = async (seconds: number): Promise<void> => {
    await pool.query(
      `create or replace function public.pg_postmaster_start_time() returns timestamptz stable language sql as
       $$ select now() - make_interval(secs => ${seconds}) $$`,
    );
  };
  return { pool, startedAgo };
}

/** A heartbeat that has renewed the session's lease, and is committed later. */
async function renewing(sessionId: string): Promise<() => Promise<void>> {
  const beat = await fleet.pool.connect();
  await beat.query("begin; set local idle_in_transaction_session_timeout = 0");
  await beat.query("update leases set expires_at = now() + interval '30 seconds' where session_id = $1", [sessionId]);
  return async () => {
    await beat.query("commit");
    beat.release();
  };
}

describe("the sweeper", () => {
  beforeEach(() => fleet.pool.query("update pulse set up_since = now() - interval '1 hour', seen_at = now()"));

  it("control-plane 7: frees the jobs of a session whose lease ran out, and no others", async () => {
    const lost = await fleet.job("lost");
    const silent = await fleet.worker("silent");
    await fleet.run(silent);
    const fine = await fleet.job("fine");
    await fleet.run(await fleet.worker("healthy"));
    await fleet.expireLease(silent);

    expect(await sweep(fleet.pool, QUICK)).toBe(1);

    expect(await fleet.row(lost)).toMatchObject({ state: "pending", session_id: null });
    expect(await fleet.row(fine)).toMatchObject({ state: "running" });
    expect(await sweep(fleet.pool, QUICK)).toBe(0);
  });

  it("control-plane 7: moves no job of a session whose lease is being renewed", async () => {
    const jobId = await fleet.job("orders");
    const worker = await fleet.worker("i-1");
    await fleet.run(worker);
    await fleet.expireLease(worker);
    const commit = await renewing(worker);

    const moved = await sweep(fleet.pool, QUICK);
    await commit();

    expect(moved).toBe(0);
    expect(await fleet.row(jobId)).toMatchObject({ state: "running", session_id: worker });
  });

  it("control-plane 12: never moves a job that is kept, until there is evidence that its daemon is gone", async () => {
    const jobId = await fleet.job("kept", { onDisconnect: "keep" });
    const silent = await fleet.worker("silent");
    await fleet.run(silent);
    await fleet.expireLease(silent);

    expect(await sweep(fleet.pool, QUICK)).toBe(0);
    expect(await fleet.row(jobId)).toMatchObject({ state: "running", session_id: silent });

    await openSession(fleet.pool, await fleet.register("silent"), [], 30_000);
    expect(await fleet.row(jobId)).toMatchObject({ state: "pending" });
  });

  it("locks only leases of sessions that hold what is lost with them, however many others ran out", async () => {
    await fleet.job("kept", { onDisconnect: "keep" });
    const keeps = await fleet.worker("keeps");
    await fleet.run(keeps);
    await fleet.job("lost");
    const loses = await fleet.worker("loses");
    await fleet.run(loses);
    await fleet.job("granted", { onDisconnect: "keep" });
    const starts = await fleet.worker("starts");
    await fleet.claim(starts);
    for (const id of [keeps, loses, starts, await fleet.worker("idle")]) await fleet.expireLease(id);

    const { rows } = await fleet.pool.query(EXPIRED_LEASES);

    expect(rows.map(({ session_id }) => session_id)).toEqual([loses, starts].sort());
  });

  it("control-plane 12: judges no lease before the control plane and the database were up for a whole one", async () => {
    const { pool, startedAgo } = await withStartOfPostgres();
    fleet = await TestFleet.create(pool);
    const jobId = await fleet.job("waiting");
    const worker = await fleet.worker("w");
    await fleet.run(worker);
    await fleet.expireLease(worker);
    const upFor = (seconds: number) =>
      pool.query("update pulse set seen_at = now(), up_since = now() - make_interval(secs => $1)", [seconds]);
    // A day is no lease: nothing that this machine does in between makes it one.
    const lease = { ...DEFAULT_TIMING, serverLeaseMs: 86_400_000 };
    const leaseSeconds = lease.serverLeaseMs / 1_000;

    for (const [control, postgres] of [
      [leaseSeconds / 2, leaseSeconds + 1],
      [leaseSeconds + 1, leaseSeconds / 2],
    ] as const) {
      await upFor(control);
      await startedAgo(postgres);
      expect(await sweep(pool, lease)).toBe(0);
    }
    await upFor(leaseSeconds + 1);
    await startedAgo(leaseSeconds + 1);
    await pool.query("update pulse set seen_at = now() - interval '1 hour'");
    await pulse(pool, DEFAULT_TIMING);
    expect(await sweep(pool, lease)).toBe(0);
    expect(await fleet.row(jobId)).toMatchObject({ state: "running", session_id: worker });

    await upFor(leaseSeconds + 1);
    await pulse(pool, DEFAULT_TIMING);
    expect(await sweep(pool, lease)).toBe(1);
    expect(await fleet.row(jobId)).toMatchObject({ state: "pending", session_id: null });
  });

  it("control-plane 7: judges leases after the database's clock was set back, once a whole one has passed since", async () => {
    const { pool, startedAgo } = await withStartOfPostgres();
    fleet = await TestFleet.create(pool);
    const jobId = await fleet.job("waiting");
    const worker = await fleet.worker("w");
    await fleet.run(worker);
    await fleet.expireLease(worker);
    const moved = async () => [await sweep(pool, DEFAULT_TIMING), (await fleet.row(jobId))["state"]];
    // GIVEN a server that was started, and a control plane that was seen, when the clock was two hours ahead
    await startedAgo(-7_200);
    await pool.query("update pulse set up_since = now() + interval '1 hour', seen_at = now() + interval '2 hours'");

    expect(await moved()).toEqual([0, "running"]);
    await pulse(pool, DEFAULT_TIMING);
    expect(await moved()).toEqual([0, "running"]);
    await pool.query("update pulse set up_since = up_since - interval '31 seconds'");
    expect(await moved()).toEqual([1, "pending"]);
  });

  it("control-plane 12: a sweep that is late, or slow, does not put off all others", async () => {
    // Heartbeats as frequent as sweeps: between two pulses more than one is missed.
    const timing = LeaseTiming.parse({ heartbeatMs: 500, sweepMs: 1_000 });
    const upSince = async () => (await fleet.pool.query("select up_since from pulse")).rows[0].up_since;
    const before = await upSince();
    for (const lateMs of [1_000, 6_000, timing.workerLeaseMs]) {
      await fleet.pool.query("update pulse set seen_at = now() - make_interval(secs => $1)", [lateMs / 1_000]);
      await pulse(fleet.pool, timing);
      expect(await upSince()).toEqual(before);
    }

    await fleet.pool.query("update pulse set seen_at = now() - make_interval(secs => $1)", [17]);
    await pulse(fleet.pool, timing);
    expect(await upSince()).not.toEqual(before);
  });

  it("control-plane 11: takes back a grant that nobody started, and refuses the start that comes too late", async () => {
    const jobId = await fleet.job("granted");
    const worker = await fleet.worker("w");
    const [grant] = await fleet.claim(worker);
    if (!grant) throw new Error("no grant");
    const sinceStep = async (action: string, column: string): Promise<number> => {
      const { rows } = await fleet.pool.query(
        `select extract(epoch from j.${column} - a.at)::float as seconds from jobs j join audit_log a on a.subject = j.id::text
         where j.id = $1 and a.action = $2`,
        [jobId, action],
      );
      return rows[0].seconds;
    };
    expect(await sinceStep("job.claim", "grant_expires_at")).toBe(8);
    await fleet.pool.query("update jobs set grant_expires_at = now() - interval '1 second' where id = $1", [jobId]);

    expect(await sweep(fleet.pool, DEFAULT_TIMING)).toBe(1);
    // It may be claimed from that moment on.
    expect(await sinceStep("job.ungrant", "not_before")).toBe(0);

    expect(await fleet.row(jobId)).toMatchObject({ state: "pending", session_id: null, claim_id: null });
    expect(await fleet.start({ sessionId: worker, ...grant })).toBe("fenced");
  });

  it("control-plane 22: of several sweepers one sweeps at a time", async () => {
    const lock = await fleet.pool.connect();
    await lock.query("begin; select pg_advisory_xact_lock(4850211902)");
    const worker = await fleet.worker("w");
    await fleet.job("lost");
    await fleet.run(worker);
    await fleet.expireLease(worker);

    expect(await sweep(fleet.pool, QUICK)).toBe(0);
    await lock.query("rollback");
    lock.release();
    expect(await sweep(fleet.pool, QUICK)).toBe(1);
  });
});

describe("a worker that an operator says is gone", () => {
  beforeEach(() => fleet.pool.query("update pulse set up_since = now() - interval '1 hour', seen_at = now()"));
  const gone = (sessionId: string, timing = QUICK, deploymentId = fleet.deploymentId) =>
    declareGone(fleet.pool, timing, { deploymentId, sessionId }, "operator:o");

  it("control-plane 27: frees what it held, kept jobs too, and fences it, with an entry for it and each job", async () => {
    const kept = await fleet.job("kept", { onDisconnect: "keep" });
    const dead = await fleet.worker("i-1");
    const ref = await fleet.run(dead);
    const unwanted = await fleet.job("unwanted", { onDisconnect: "keep" });
    await fleet.run(dead);
    await transaction(fleet.pool, (tx) => applyToJob(tx, unwanted, { type: "delete" }, "test"));
    await fleet.expireLease(dead);
    const { length: before } = await listAudit(fleet.pool, fleet.deploymentId);

    expect(await gone(dead)).toBe(2);

    expect(await fleet.claim(await fleet.worker("i-2"))).toEqual([{ jobId: kept, fence: ref.fence + 1 }]);
    expect(await fleet.row(unwanted)).toMatchObject({ state: "deleted", session_id: null });
    expect(await heartbeats.beat(fleet.beating(dead), "open", NOTHING)).toBe("refused");
    expect(await fleet.report({ sessionId: dead, ...ref, outcome: "completed", logTail: [] })).toBe("fenced");
    const entries = await listAudit(fleet.pool, fleet.deploymentId, { after: before, limit: 500 });
    expect(entries.slice(0, 3).map(({ action, actor, subject }) => [action, actor, subject])).toEqual([
      ...[kept, unwanted].sort().map((jobId) => ["job.gone", "operator:o", jobId]),
      ["worker.gone", "operator:o", dead],
    ]);
    expect(await gone(dead)).toBe("not_found");
  });

  it("control-plane 12: is not while its lease is valid, nor before the control plane was up for a whole one", async () => {
    const jobId = await fleet.job("kept", { onDisconnect: "keep" });
    const worker = await fleet.worker("i-1");
    await fleet.run(worker);
    expect(await gone(worker)).toBe("alive");

    await fleet.expireLease(worker);
    await fleet.pool.query("update pulse set up_since = now() - interval '29 seconds'");
    expect(await gone(worker, DEFAULT_TIMING)).toBe("unjudged");

    expect(await fleet.row(jobId)).toMatchObject({ state: "running", session_id: worker });
    expect(await heartbeats.beat(fleet.beating(worker), "open", NOTHING)).toMatchObject({ held: [{ jobId }] });
  });

  it("control-plane 12: is not where its lease is being renewed", async () => {
    const jobId = await fleet.job("orders");
    const worker = await fleet.worker("i-1");
    await fleet.run(worker);
    await fleet.expireLease(worker);
    const commit = await renewing(worker);
    const said = gone(worker);
    await lockWaits(fleet.pool, 1);

    await commit();

    expect(await said).toBe("alive");
    expect(await fleet.row(jobId)).toMatchObject({ state: "running", session_id: worker });
  });

  it("control-plane 25: is one of the operator's deployment, and one whose session is open", async () => {
    const worker = await fleet.worker("i-1");
    await fleet.expireLease(worker);

    expect(await gone(worker, QUICK, randomUUID())).toBe("not_found");
    expect(await gone(await fleet.register("i-2"))).toBe("not_found");
    expect(await gone(randomUUID())).toBe("not_found");
  });
});
