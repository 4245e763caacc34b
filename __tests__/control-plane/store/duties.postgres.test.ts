import { Client } from "pg";
import { readBacklog } from "../../../control-plane/store/backlog";
import { transaction } from "../../../control-plane/store/database";
import { deleteDatasource } from "../../../control-plane/store/datasources";
import { takeDuty } from "../../../control-plane/store/duties";
import { releaseJobs, saveCheckpoint } from "../../../control-plane/store/holder";
import { applyToJob } from "../../../control-plane/store/jobs";
import { deletePast } from "../../../control-plane/store/retention";
import { deregisterSession } from "../../../control-plane/store/sessions";
import { issueToken, revokeToken } from "../../../control-plane/store/tokens";
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
