import { randomUUID } from "node:crypto";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { createDatasource } from "../../../control-plane/store/catalog";
import { PICK } from "../../../control-plane/store/claim";
import { TAKEN } from "../../../control-plane/store/create";
import type { Prepared } from "../../../control-plane/store/database";
import { RENEW } from "../../../control-plane/store/heartbeats";
import { findPinningTransaction } from "../../../control-plane/store/horizon";
import type { Claimed } from "../../../control-plane/store/job-writes";
import { LOCK, WRITE } from "../../../control-plane/store/jobs";
import { parseKeyring } from "../../../control-plane/store/seal";
import { SESSIONS } from "../../../control-plane/store/sessions";
import { EXPIRED_GRANTS, EXPIRED_LEASES, LOST_JOBS } from "../../../control-plane/store/sweeper";
import { longForm } from "../../support/long-form";
import { connectPatiently } from "../../support/postgres";
import { findAuditTampering } from "./audit-tampering";
import { type TestFleet, useFleets } from "./fleet";

const { freshFleet } = useFleets();

describe("claiming", () => {
  it("R24: two workers that claim the same jobs at once share them without one job given twice", async () => {
    const fleet = await freshFleet();
    for (let index = 0; index < 60; index++) await fleet.job(`job-${index}`);
    const workers = await Promise.all(["w1", "w2"].map((id) => fleet.worker(id, { slots: 100 })));

    const claims = await Promise.all(
      Array.from({ length: 30 }, (_, index) => fleet.claim(workers[index % 2] as string, 3)),
    );
    const given = claims.flat().map(({ jobId }) => jobId);

    expect(new Set(given).size).toBe(given.length);
    expect(given.length).toBe(60);
  }, 60_000);

  it("R24: gives at most the free slots, whatever is asked for", async () => {
    const fleet = await freshFleet();
    for (let index = 0; index < 5; index++) await fleet.job(`job-${index}`);
    const worker = await fleet.worker("w", { slots: 3 });

    const claims = await Promise.all([fleet.claim(worker, 2), fleet.claim(worker, 2), fleet.claim(worker, 2)]);

    expect(claims.flat().length).toBe(3);
    expect(await fleet.claim(worker, 2)).toEqual([]);
  });

  it("gives the same grants to a repeated claim, with all that their worker must know", async () => {
    const fleet = await freshFleet();
    await fleet.job("one", { tables: ["public.a", "public.b"], options: { batch: "10" }, onDisconnect: "keep" });
    await fleet.job("two");
    const worker = await fleet.worker("w");
    const { grantMs } = DEFAULT_TIMING;
    const claim = { ...fleet.registration(worker), sessionId: worker, claimId: randomUUID(), slots: 1, grantMs };

    const first = await fleet.writes.claim(claim);

    const side = {
      engine: "postgres",
      url: "postgres://db.internal:5432/shop",
      user: "cdc",
      password: "canary-password",
      options: {},
    };
    const spec = {
      name: "one",
      source: side,
      sink: side,
      tables: ["public.a", "public.b"],
      snapshot: false,
      onDisconnect: "keep",
      options: { batch: "10" },
    };
    const grant = { fence: 1, assignment: { attempt: 1, spec, resume: null } };
    expect(first).toMatchObject({ granted: [{ ...grant, isNew: true }] });
    const again = (first as Claimed).granted.map((one) => ({ ...one, isNew: false }));
    expect(await fleet.writes.claim(claim)).toMatchObject({ granted: again });
  });

  it("fails a job whose password cannot be opened, and grants the others of the same claim", async () => {
    const fleet = await freshFleet();
    const sealed = { engine: "postgres", url: "postgres://b", user: "u", password: "p", options: {} };
    const keyring = parseKeyring(`lost:${"22".repeat(32)}`);
    const lost = await createDatasource(fleet.pool, keyring, fleet.deploymentId, { name: "lost", ...sealed }, "test");
    const closed = await fleet.job("closed", { sinkId: lost });
    const open = await fleet.job("open");
    const worker = await fleet.worker("w1", { slots: 2 });

    expect(await fleet.claim(worker, 2)).toEqual([{ jobId: open, fence: 1 }]);

    const why = "the secret was sealed with key lost, which the keyring lacks";
    expect(await fleet.row(closed)).toMatchObject({ state: "pending", failures: 1, session_id: null, last_error: why });
    expect(await fleet.claim(worker)).toEqual([]);
  });

  it("places by pool, labels, priority and waiting time", async () => {
    const fleet = await freshFleet();
    await fleet.job("other-pool", { pool: "batch" });
    await fleet.job("needs-gpu", { labels: { gpu: "yes" } });
    const later = await fleet.job("later");
    const urgent = await fleet.job("urgent", { priority: 1 });
    const worker = await fleet.worker("w", { labels: { zone: "a" } });

    const order = [await fleet.claim(worker), await fleet.claim(worker), await fleet.claim(worker)];

    expect(order).toMatchObject([[{ jobId: urgent }], [{ jobId: later }], []]);
  });

  it("says whether there may be more that the claimer could take", async () => {
    const fleet = await freshFleet();
    for (const name of ["one", "two"]) await fleet.job(name);
    const sessionId = await fleet.worker("w");
    const claim = async (slots: number) => {
      const asked = { ...fleet.registration(sessionId), sessionId, claimId: randomUUID(), slots, grantMs: 10_000 };
      const { granted, isMore } = (await fleet.writes.claim(asked)) as Claimed;
      return [granted.length, isMore];
    };

    expect([await claim(1), await claim(2), await claim(1)]).toEqual([
      [1, true],
      [1, false],
      [0, false],
    ]);
  });

  it("gives nothing to a session that is draining, has no valid lease, or never opened", async () => {
    const fleet = await freshFleet();
    await fleet.job("one");
    const draining = await fleet.worker("draining");
    await fleet.pool.query("update sessions set draining = true where id = $1", [draining]);
    const expired = await fleet.worker("expired");
    await fleet.expireLease(expired);

    expect(await fleet.claim(draining)).toEqual([]);
    expect(await fleet.claim(expired)).toEqual([]);
    expect(await fleet.claim(await fleet.register("registered"))).toEqual([]);
  });
});

it("control-plane 13: a claim waits for nobody: it passes over a job that another transaction holds", async () => {
  const fleet = await freshFleet();
  const [first, second] = [await fleet.job("first"), await fleet.job("second")];
  const worker = await fleet.worker("w");
  const other = await fleet.pool.connect();
  await other.query("begin");
  await other.query("select 1 from jobs where id = $1 for update", [first]);

  expect(await fleet.claim(worker)).toMatchObject([{ jobId: second }]);

  await other.query("rollback");
  other.release();
  expect(await fleet.claim(worker)).toMatchObject([{ jobId: first }]);
});

it("control-plane 21: a job's start writes its row in place, and no index", async () => {
  const fleet = await freshFleet();
  await fleet.job("one");
  const worker = await fleet.worker("w");
  const [grant] = await fleet.claim(worker);
  await fleet.pool.query("create table hot (count bigint)");
  await fleet.pool.query(`
    create function count_hot() returns trigger language plpgsql as
      $$ begin insert into hot values (pg_stat_get_xact_tuples_hot_updated('jobs'::regclass)); return null; end $$`);
  await fleet.pool.query(
    "create trigger count_hot after update on jobs for each statement execute function count_hot()",
  );

  if (grant) await fleet.start({ sessionId: worker, ...grant });

  expect((await fleet.pool.query("select count from hot")).rows).toEqual([{ count: 1 }]);
});

const FINISHED = longForm(20_000, 1_000_000);

describe("control-plane 18: plans", () => {
  const putJobs = async (fleet: TestFleet, state: string, from: number, to: number): Promise<void> => {
    await fleet.pool.query(
      `insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool, state)
       select $1, $3 || '-' || n, $2, $2, '{t}', false, 'default', $3 from generate_series($4::int, $5::int) n`,
      [fleet.deploymentId, fleet.datasourceId, state, from, to],
    );
  };
  /** Sessions that are open, with their leases and tokens. */
  const putSessions = async (fleet: TestFleet, count: number): Promise<void> => {
    await fleet.pool.query(
      `with others as (
         insert into sessions (id, deployment_id, worker_id, pool, labels, slots, features, agent_version, daemon_version, state)
         select gen_random_uuid(), $1, 'w-' || n, 'default', '{}', 4, '{}', '1', '1', 'open' from generate_series(1, $2::int) n
         returning id
       ), leased as (
         insert into leases select id, now() + interval '1 hour' from others
       )
       insert into tokens (kind, deployment_id, session_id, hash) select 'worker', $1, id, sha256(id::text::bytea) from others`,
      [fleet.deploymentId, count],
    );
  };
  const vacuum = async (fleet: TestFleet): Promise<void> => {
    const client = await connectPatiently(fleet.pool);
    await client.query("vacuum analyze");
    await client.end();
  };
  const explain = async (
    fleet: TestFleet,
    statement: string | Prepared,
    values: readonly unknown[],
  ): Promise<string> => {
    const client = await fleet.pool.connect();
    try {
      await client.query("set plan_cache_mode = force_generic_plan");
      await client.query(`prepare subject as ${typeof statement === "string" ? statement : statement.text}`);
      const literals = values.map((value) => (typeof value === "number" ? value : `'${value}'`));
      const { rows } = await client.query(`explain execute subject${literals.length > 0 ? ` (${literals})` : ""}`);
      return rows.map((row) => row["QUERY PLAN"]).join("\n");
    } finally {
      client.release(true);
    }
  };

  it.each([1, 2_000])(
    `control-plane 18: claim, creation, write, renew and sweep use their indexes beside ${FINISHED} finished jobs, %d ready`,
    async (ready) => {
      const fleet = await freshFleet();
      await fleet.job("waiting");
      const worker = await fleet.worker("w");
      for (let from = 1; from <= FINISHED; from += 10_000) await putJobs(fleet, "completed", from, from + 9_999);
      await putJobs(fleet, "pending", 1, ready);
      await putSessions(fleet, 10_000);
      await vacuum(fleet);

      const claim = await explain(fleet, PICK, [fleet.deploymentId, "default", "{}", "-infinity", 1]);
      const renew = await explain(fleet, RENEW, [`{${worker}}`, 30]);
      const sessions = await explain(fleet, SESSIONS, [`{${worker}}`, `{${worker}}`]);

      const lock = await explain(fleet, LOCK, [`{${worker}}`, fleet.deploymentId]);
      const write = await explain(fleet, WRITE, ["[]", `{${worker}}`]);

      const grants = await explain(fleet, EXPIRED_GRANTS, []);
      const lost = await explain(fleet, LOST_JOBS, [`{${worker}}`]);
      const leases = await explain(fleet, EXPIRED_LEASES, []);

      const taken = await explain(fleet, TAKEN, [`{${fleet.deploymentId}}`, "{orders}", `{${worker}}`]);
      expect(taken).toContain("jobs_by_name");

      for (const plan of [lock, write, taken]) {
        expect(plan).not.toContain("Seq Scan on jobs");
        expect(plan).toContain("jobs_pkey");
      }
      for (const plan of [grants, lost, leases]) {
        expect(plan).not.toContain("Seq Scan on jobs");
        expect(plan).toContain("jobs_of_session");
      }
      // Of each lease that ran out, instead of all jobs that are held: the planner cannot know that hardly any lease has.
      expect(leases).toContain("SubPlan");
      if (ready > 1) expect(claim).toContain("Index Scan using ready_jobs_in_order on ready_jobs");
      expect(claim).not.toContain("Seq Scan on jobs");
      expect(claim).toContain("Index Scan using jobs_pkey on jobs");
      for (const plan of [renew, sessions]) {
        expect(plan).not.toMatch(/Seq Scan on (jobs|sessions|leases|tokens)/);
        expect(plan).toContain("jobs_of_session");
      }
    },
    1_200_000,
  );

  it("control-plane 18: plans that were made while there were no jobs read no more when there are many", async () => {
    const fleet = await freshFleet();
    const worker = await fleet.worker("w");
    const statements = Object.entries({
      pick: [PICK, fleet.deploymentId, "default", "{}", "-infinity", 1],
      renew: [RENEW, `{${worker}}`, 30],
      sessions: [SESSIONS, `{${worker}}`, `{${worker}}`],
      lock: [LOCK, `{${worker}}`, fleet.deploymentId],
      write: [WRITE, "[]", `{${worker}}`],
      taken: [TAKEN, `{${fleet.deploymentId}}`, "{orders}", `{${worker}}`],
    } satisfies Record<string, [string | Prepared, ...unknown[]]>);
    const client = await fleet.pool.connect();
    const pagesRead = async () => {
      const pages: Record<string, number> = {};
      for (const [name, [, ...values]] of statements) {
        const { rows } = await client.query(
          `explain (analyze, buffers, format json) execute ${name} (${values.map((value) => `'${value}'`)})`,
        );
        const [{ Plan: plan }] = rows[0]["QUERY PLAN"];
        pages[name] = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
      }
      return pages;
    };
    await client.query("set plan_cache_mode = force_generic_plan");
    for (const [name, [statement]] of statements) {
      await client.query(`prepare ${name} as ${typeof statement === "string" ? statement : statement.text}`);
    }
    await pagesRead();
    await putJobs(fleet, "completed", 1, 5_000);
    await putJobs(fleet, "pending", 1, 1);

    const pages = await pagesRead();
    client.release(true);

    expect(Object.entries(pages).filter(([, read]) => read > 30)).toEqual([]);
  });

  it("control-plane 19: behind an idle transaction that keeps every dead row, claims stay on their index, and it is found", async () => {
    const fleet = await freshFleet();
    await fleet.job("waiting");
    const worker = await fleet.worker("w");
    // GIVEN a transaction with a snapshot and an id, of somebody who sets no limit to it
    const idle = await fleet.pool.connect();
    await idle.query("set idle_in_transaction_session_timeout = 0");
    await idle.query("begin isolation level repeatable read");
    await idle.query("select pg_current_xact_id()");
    const { rows } = await idle.query("select pg_backend_pid() as pid");
    // WHEN jobs come and go, and vacuum may take none of what they leave
    for (let round = 0; round < 5; round++) {
      await fleet.pool.query(
        `insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool, state)
         select $1, $3 || '-' || n, $2, $2, '{t}', false, 'default', 'pending' from generate_series(1, 1000) n`,
        [fleet.deploymentId, fleet.datasourceId, `passing-${round}`],
      );
      await fleet.pool.query("update jobs set state = 'completed' where name like 'passing-%' and state = 'pending'");
    }
    await fleet.pool.query("vacuum analyze");
    const kept = await fleet.pool.query("select pg_relation_size('ready_jobs')::int / 8192 as pages");

    const plan = await explain(fleet, PICK, [fleet.deploymentId, "default", "{}", "-infinity", 1]);
    expect(plan).not.toContain("Seq Scan on jobs");
    expect(plan).toContain("Index Scan using jobs_pkey on jobs");
    // One row lives; vacuum would have cut the table down to its page.
    expect(kept.rows[0].pages).toBeGreaterThan(10);
    expect(await findPinningTransaction(fleet.pool, 0)).toMatchObject({
      pid: rows[0].pid,
      state: "idle in transaction",
    });
    expect(await findPinningTransaction(fleet.pool, 3_600)).toBeUndefined();
    expect(await fleet.claim(worker)).toHaveLength(1);

    await idle.query("rollback");
    idle.release(true);
    expect((await findPinningTransaction(fleet.pool, 0))?.pid).not.toBe(rows[0].pid);
  }, 120_000);
});

describe("control-plane 13: claims, starts and reports of many workers at once", () => {
  it("control-plane 13: share their commits, and each is answered as if it had come alone", async () => {
    const fleet = await freshFleet();
    for (let index = 0; index < 40; index++) await fleet.job(`job-${index}`);
    await fleet.job("elsewhere", { pool: "batch" });
    const workers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => fleet.worker(`w-${index}`, { slots: 2 })),
    );
    const batch = await fleet.worker("batch", { pool: "batch" });
    const full = workers[0] as string;
    const [held] = await fleet.claim(full);
    const commits = async () => {
      const { rows } = await fleet.pool.query("select count(distinct xmin::text)::int as commits from audit_log");
      return Number(rows[0].commits);
    };
    const before = await commits();

    const repeated = randomUUID();
    const claims = await Promise.all([
      ...workers.map((id) => fleet.claim(id, 2)),
      fleet.claim(batch, 5),
      fleet.claim(full, 2, repeated),
      fleet.claim(randomUUID()),
    ]);
    expect(claims.slice(0, 20).map(({ length }) => length)).toEqual([1, ...Array(19).fill(2)]);
    expect(claims.slice(20).map(({ length }) => length)).toEqual([1, 0, 0]);
    expect(await commits()).toBeLessThanOrEqual(before + 2);

    const runs = [...workers, batch].flatMap((sessionId, index) =>
      (claims[index] ?? []).map((ref) => ({ sessionId, ...ref })),
    );
    const stale = { sessionId: full, jobId: held?.jobId ?? "", fence: 0 };
    const starts = await Promise.all([...runs, stale, runs[0] as (typeof runs)[0]].map(fleet.start));
    expect(starts).toEqual([...runs.map(() => "started"), "fenced", "started"]);
    const ended = [...runs, stale, runs[0] as (typeof runs)[0]].map((run, index) =>
      fleet.report({ ...run, outcome: "completed", logTail: [`line ${index}`, "\"'\\"] }),
    );
    expect(await Promise.all(ended)).toEqual([...runs.map(() => "reported"), "fenced", "reported"]);
    expect(await commits()).toBeLessThanOrEqual(before + 6);
    expect(await fleet.row(runs[3]?.jobId ?? "")).toMatchObject({ state: "completed", log_tail: ["line 3", "\"'\\"] });

    const { rows } = await fleet.pool.query("select action, count(*)::int from audit_log group by action");
    const counted = new Map(rows.map(({ action, count }) => [action, count]));
    expect([counted.get("job.claim"), counted.get("job.started"), counted.get("job.report")]).toEqual([41, 40, 40]);
    expect(await findAuditTampering(fleet.pool, fleet.deploymentId)).toBeNull();
  });

  it("control-plane 13: one that the database refuses fails alone", async () => {
    const fleet = await freshFleet();
    const [first, second] = [await fleet.job("first"), await fleet.job("second")];
    const worker = await fleet.worker("w");

    const [one, broken, other] = await Promise.allSettled([
      fleet.claim(worker),
      fleet.claim("no session"),
      fleet.claim(worker),
    ]);

    expect([one, other]).toMatchObject([{ value: [{ jobId: first }] }, { value: [{ jobId: second }] }]);
    expect(broken).toMatchObject({ status: "rejected" });
  });
});
