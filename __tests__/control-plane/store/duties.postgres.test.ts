import { Client } from "pg";
import { readBacklog } from "../../../control-plane/store/backlog";
import { type AskedTest, askForTest } from "../../../control-plane/store/connection-tests";
import { transaction } from "../../../control-plane/store/database";
import { deleteDatasource } from "../../../control-plane/store/datasources";
import { takeDuty } from "../../../control-plane/store/duties";
import { releaseJobs, saveCheckpoint } from "../../../control-plane/store/holder";
import { applyToJob } from "../../../control-plane/store/jobs";
import { deletePast, forgetUnusedPools } from "../../../control-plane/store/retention";
import { deregisterSession } from "../../../control-plane/store/sessions";
import { issueToken, revokeToken } from "../../../control-plane/store/tokens";
import { createUpgrade, stepUpgrade } from "../../../control-plane/store/upgrades";
import { eventually } from "../../support/eventually";
import { TestFleet, useFleets } from "./fleet";

const fleets = useFleets();
const { freshFleet } = fleets;

const YEAR_SECONDS = 31_557_600;

it("control-plane 22: a duty is done by one copy, once in its period", async () => {
  const { pool } = await fleets.postgres.freshDatabase();
  const ask = () => Promise.all(Array.from({ length: 8 }, () => takeDuty(pool, "backlog", YEAR_SECONDS)));

  expect((await ask()).filter(Boolean)).toHaveLength(1);
  expect((await ask()).filter(Boolean)).toHaveLength(0);
  expect(await takeDuty(pool, "another", YEAR_SECONDS)).toBe(true);

  const { rows } = await pool.query(
    "select extract(epoch from due_at)::float / $1 as periods, due_at > now() as later from duties",
    [YEAR_SECONDS],
  );
  expect(rows.every(({ periods, later }) => Number.isInteger(periods) && later)).toBe(true);
  await pool.query("update duties set due_at = now()");
  expect((await ask()).filter(Boolean)).toHaveLength(1);
});

it("control-plane 22: a duty does not wait for as long as the database's clock was set back", async () => {
  const { pool } = await fleets.postgres.freshDatabase();
  const ask = async () =>
    (await Promise.all([1, 2, 3].map(() => takeDuty(pool, "backlog", 3_600)))).filter(Boolean).length;
  const ahead = async (periods: number) =>
    await pool.query("update duties set due_at = to_timestamp((floor(extract(epoch from now()) / 3600) + $1) * 3600)", [
      periods,
    ]);
  await ask();

  await ahead(50);
  expect(await ask()).toBe(1);
  // As a copy that asked a moment sooner sees it, whose clock had not reached the period's end.
  await ahead(2);
  expect(await ask()).toBe(0);
});

it("control-plane 20: nothing that happens to a job sends a notification", async () => {
  const { pool, url } = await fleets.postgres.freshDatabase();
  const fleet = await TestFleet.create(pool);
  const heard: (string | undefined)[] = [];
  const listener = new Client(url);
  await listener.connect();
  listener.on("notification", ({ payload }) => heard.push(payload));
  await listener.query("listen holdfast_wake");

  const [kept, ended] = [await fleet.job("kept"), await fleet.job("ended")];
  const worker = await fleet.worker("w");
  const refs = [await fleet.run(worker), await fleet.run(worker)];
  for (const ref of refs) {
    await saveCheckpoint(pool, worker, ref, { seq: 1, phase: "streaming", position: "0/1" });
  }
  await fleet.report({ sessionId: worker, jobId: ended, fence: 1, outcome: "completed", logTail: [] });
  await releaseJobs(pool, worker, [{ jobId: kept, fence: 1 }]);
  await deregisterSession(pool, worker);
  await pool.query("notify holdfast_wake, 'last'");
  await eventually(async () => (heard.includes("last") ? true : undefined));

  expect(heard).toEqual(["last"]);
  await listener.end();
});

describe("a pool", () => {
  const names = async ({ pool }: TestFleet) =>
    (await pool.query("select name from pools order by name")).rows.map(({ name }) => name);
  const age = async ({ pool }: TestFleet, interval: string) =>
    await pool.query("update pools set unused_since = unused_since - $1::interval", [interval]);

  it("control-plane 21: is forgotten once it had neither a job nor a worker for a year", async () => {
    const fleet = await freshFleet();
    const { pool } = fleet;
    await fleet.job("orders", { pool: "with-a-job" });
    await fleet.worker("i-1", { pool: "with-a-worker" });
    for (const name of ["abandoned", "used-again"]) {
      await pool.query("insert into pools (deployment_id, name) values ($1, $2)", [fleet.deploymentId, name]);
    }

    expect(await forgetUnusedPools(pool)).toBe(0);
    await age(fleet, "364 days");
    expect(await forgetUnusedPools(pool)).toBe(0);
    await fleet.job("again", { pool: "used-again" });
    await age(fleet, "2 days");

    expect(await forgetUnusedPools(pool)).toBe(1);
    expect(await names(fleet)).toEqual(["used-again", "with-a-job", "with-a-worker"]);
    // What was noted of a pool that is used is forgotten with the same look.
    expect((await pool.query("select from pools where unused_since is not null")).rowCount).toBe(0);
  });

  it("tells its backlog while jobs wait in it, though it was forgotten as they came", async () => {
    const fleet = await freshFleet();
    await fleet.job("orders", { pool: "batch" });
    await fleet.pool.query("delete from pools");

    expect(await readBacklog(fleet.pool)).toMatchObject([{ deployment: "shop", pool: "batch", jobs: 1 }]);
  });
});

describe("the backlog of a pool", () => {
  it("counts what nobody has claimed, from when it began to wait, and is told at zero too", async () => {
    const fleet = await freshFleet();
    const first = await fleet.job("first");
    await fleet.job("second");
    await fleet.job("elsewhere", { pool: "batch" });
    await fleet.pool.query("alter table jobs disable trigger note_job_times");
    await fleet.pool.query("update jobs set pending_since = now() - interval '90 seconds' where id = $1", [first]);
    await fleet.pool.query("alter table jobs enable trigger note_job_times");

    const backlog = await readBacklog(fleet.pool);
    expect(backlog).toMatchObject([
      { deployment: "shop", pool: "batch", jobs: 1 },
      { deployment: "shop", pool: "default", jobs: 2 },
    ]);
    expect(backlog[1]?.ageSeconds).toBeGreaterThanOrEqual(90);

    const worker = await fleet.worker("w");
    await fleet.run(worker);
    await fleet.run(worker);
    expect(await readBacklog(fleet.pool)).toMatchObject([
      { pool: "batch", jobs: 1 },
      { pool: "default", jobs: 0, ageSeconds: 0 },
    ]);
  });

  it("a job that fails and is tried again waits from its failure on", async () => {
    const fleet = await freshFleet();
    await fleet.job("orders");
    const { rows } = await fleet.pool.query("select pending_since is not null as waits from jobs");
    expect(rows).toEqual([{ waits: true }]);
    const worker = await fleet.worker("w");
    const { jobId, fence } = await fleet.run(worker);
    expect(await fleet.row(jobId)).toMatchObject({ pending_since: null });

    const by = { session: worker, fence };
    await transaction(fleet.pool, (tx) => applyToJob(tx, jobId, { type: "report", by, outcome: "failed" }, "test"));
    const { pending_since, not_before } = await fleet.row(jobId);
    expect(Number(not_before)).toBeGreaterThan(Number(pending_since));
  });
});

it("control-plane 21: deletes what ended long ago and keeps what lives, whatever refers to it", async () => {
  const fleet = await freshFleet();
  const { pool, deploymentId } = fleet;
  const gone = await fleet.job("gone");
  const kept = await fleet.job("kept");
  const rested = await fleet.job("rested");
  const [old, current] = [await fleet.worker("old"), await fleet.worker("current")];
  for (let started = 0; started < 3; started++) await fleet.run(current);
  await deregisterSession(pool, old);
  for (const [id, type] of [
    [gone, "delete"],
    [rested, "stop"],
  ] as const) {
    await transaction(pool, (tx) => applyToJob(tx, id, { type }, "test"));
    const by = { session: current, fence: 1 };
    await transaction(pool, (tx) => applyToJob(tx, id, { type: "report", by, outcome: "stopped" }, "test"));
  }
  const revoked = await issueToken(pool, { kind: "deployment", deploymentId });
  const valid = await issueToken(pool, { kind: "deployment", deploymentId, expiresInMs: 3_600_000 });
  await revokeToken(pool, revoked.id, deploymentId);
  await expect(deleteDatasource(pool, { deploymentId, id: fleet.datasourceId }, "test")).rejects.toThrow(
    "jobs use the datasource: kept, rested; delete them first",
  );

  expect(await deletePast(pool, 1)).toBe(0);
  const remaining = async (table: string) => (await pool.query(`select id from ${table}`)).rows.map(({ id }) => id);
  await pool.query("update jobs set deleted_at = deleted_at - interval '2 days'");
  await pool.query("update sessions set closed_at = closed_at - interval '2 days'");
  await pool.query("update tokens set revoked_at = revoked_at - interval '2 days'");

  expect(await deletePast(pool, 1, 1)).toBe(3);
  expect((await remaining("jobs")).sort()).toEqual([kept, rested].sort());
  expect(await remaining("sessions")).toEqual([current]);
  expect((await remaining("tokens")).sort()).toEqual([fleet.tokenId, fleet.beating(current).tokenId, valid.id].sort());
  expect(await remaining("datasources")).toEqual([fleet.datasourceId]);
});

it("control-plane 21: a table that cannot be trimmed is told, and keeps no other from it", async () => {
  const fleet = await freshFleet();
  const { pool, deploymentId } = fleet;
  const jobId = await fleet.job("orders");
  await transaction(pool, (tx) => applyToJob(tx, jobId, { type: "delete" }, "test"));
  const { id: tokenId } = await issueToken(pool, { kind: "deployment", deploymentId });
  await revokeToken(pool, tokenId, deploymentId);
  await deregisterSession(pool, await fleet.worker("old"));
  await pool.query("update jobs set deleted_at = now() - interval '2 days'");
  await pool.query("update sessions set closed_at = now() - interval '2 days'");
  await pool.query("update tokens set revoked_at = revoked_at - interval '2 days'");
  await pool.query(`
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'the disk is full'; end $$;
    create trigger refuse before delete on jobs execute function refuse()`);
  const counted = async (table: string) => (await pool.query(`select from ${table}`)).rowCount;

  await expect(deletePast(pool, 1)).rejects.toThrow("what ended was not deleted of jobs (the disk is full)");
  expect([await counted("jobs"), await counted("sessions"), await counted("tokens")]).toEqual([1, 0, 1]);

  await pool.query("drop trigger refuse on jobs");
  expect(await deletePast(pool, 1)).toBe(1);
});

it("control-plane 21: deletes datasources that no job refers to any more, a few at a time", async () => {
  const fleet = await freshFleet();
  const { pool, deploymentId } = fleet;
  await pool.query(
    `insert into datasources (deployment_id, name, engine, url, username, sealed_password, deleted_at)
     select $1, 'gone-' || i, 'postgres', 'postgres://b', 'u', '', now() - interval '2 days' from generate_series(1, 30) i`,
    [deploymentId],
  );
  await fleet.job("orders");
  await pool.query("update jobs set sink_id = (select id from datasources where name = 'gone-30')");

  expect([await deletePast(pool, 1), await deletePast(pool, 1), await deletePast(pool, 1)]).toEqual([20, 9, 0]);
  const { rows } = await pool.query("select name from datasources order by name");
  expect(rows.map(({ name }) => name)).toEqual(["gone-30", "orders-db"]);
});

/**
 * Without an index on what refers to it, each row that is deleted is a scan of the other table. An index on nothing but `is not null` will
 * do: a reference that is looked for is none that is null.
 */
it("control-plane 21: whatever refers to rows that end has an index, but for what is too dear", async () => {
  const { pool } = await fleets.postgres.freshDatabase();
  const { rows } = await pool.query<{ reference: string }>(
    `select format('%s (%s) -> %s', r.conrelid::regclass, columns.names, r.confrelid::regclass) as reference
     from pg_constraint r, lateral (
       select string_agg(a.attname, ', ' order by place) as names, array_agg(format('(%I IS NOT NULL)', a.attname)) as given
       from unnest(r.conkey) with ordinality as key (number, place) join pg_attribute a on a.attrelid = r.conrelid and a.attnum = number
     ) columns
     where r.contype = 'f' and r.connamespace = 'public'::regnamespace and not exists (
       select from pg_index i where i.indrelid = r.conrelid and i.indisvalid
         and (i.indkey::smallint[])[0:cardinality(r.conkey) - 1] @> r.conkey
         and coalesce(pg_get_expr(i.indpred, i.indrelid) = any(columns.given), true)
     ) order by 1`,
  );

  const lacking = rows.map(({ reference }) => reference).filter((reference) => !reference.endsWith(" -> deployments"));
  // Two more indexes would make each claim and each report half as dear again; datasources are seldom deleted.
  expect(lacking).toEqual([
    "jobs (deployment_id, sink_id) -> datasources",
    "jobs (deployment_id, source_id) -> datasources",
  ]);
});

it("control-plane 21: deletes upgrades, connection tests and tokens long after their end, and none that goes on", async () => {
  const fleet = await freshFleet();
  const { pool, deploymentId } = fleet;
  await fleet.worker("w", { features: ["test_connection"] });
  const release = {
    pool: "default",
    version: "2.0.0",
    url: "https://releases.example/2",
    sha256: "ab",
    signature: "c2",
  };
  const pace = { downgrade: false, waveSize: 1, soakMs: 0, deadlineMs: 60_000 };
  const upgrade = async (program: "agent" | "daemon") =>
    (await createUpgrade(pool, deploymentId, { ...release, ...pace, program }, "test")).id;
  const [aborted, running] = [await upgrade("agent"), await upgrade("daemon")];
  await stepUpgrade(pool, deploymentId, aborted, "abort", "test");
  const datasource = { deploymentId, id: fleet.datasourceId };
  const test = async (deadlineMs: number) =>
    await askForTest(pool, { datasource, role: "source", pool: "default", deadlineMs }, "test");
  const [over, asked] = [await test(1), await test(3_600_000)] as [AskedTest, AskedTest];
  const expired = await issueToken(pool, { kind: "deployment", deploymentId, expiresInMs: 1 });
  const ids = async () => {
    const { rows } = await pool.query(
      "select id from upgrades union all select id from connection_tests union all select id from tokens",
    );
    return rows.map(({ id }) => id).sort();
  };
  const before = await ids();
  expect(await deletePast(pool, 1)).toBe(0);

  await pool.query(
    "update upgrades set created_at = now() - interval '3 days', ended_at = ended_at - interval '2 days'",
  );
  await pool.query("update connection_tests set asked_at = now() - interval '3 days'");
  for (const table of ["connection_tests", "tokens"]) {
    await pool.query(`update ${table} set expires_at = now() - interval '2 days' where id = any($1)`, [
      [over.id, expired.id],
    ]);
  }

  expect(await deletePast(pool, 1)).toBe(3);
  const gone = [aborted, over.id, expired.id];
  expect(await ids()).toEqual(before.filter((id) => !gone.includes(id)));
  expect(await ids()).toEqual(expect.arrayContaining([running, asked.id]));
});

it("control-plane 21: a datasource goes with the last of the jobs that used it", async () => {
  const fleet = await freshFleet();
  const { pool, deploymentId, datasourceId: id } = fleet;
  const jobId = await fleet.job("orders");
  await transaction(pool, (tx) => applyToJob(tx, jobId, { type: "delete" }, "test"));
  await deleteDatasource(pool, { deploymentId, id }, "test");
  const age = async (table: string) =>
    await pool.query(`update ${table} set deleted_at = deleted_at - interval '2 days'`);

  await age("datasources");
  expect(await deletePast(pool, 1)).toBe(0);
  await age("jobs");
  expect(await deletePast(pool, 1)).toBe(2);
});
