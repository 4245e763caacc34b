import { randomUUID } from "node:crypto";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { PICK } from "../../../control-plane/store/claim";
import type { Queryable } from "../../../control-plane/store/database";
import { groupedJobWrites } from "../../../control-plane/store/job-writes";
import { ReadyJobs } from "../../../control-plane/store/ready-jobs";
import { KEYRING, type TestFleet, useFleets } from "./fleet";

const { freshFleet } = useFleets();

/** Pages that a claim of one slot touches, by the plan that it has where much is ready. */
async function pagesTouched(fleet: TestFleet, floor: string): Promise<number> {
  const client = await fleet.pool.connect();
  try {
    await client.query("set enable_seqscan = off; set enable_bitmapscan = off; set enable_sort = off");
    await client.query(`prepare pick as ${PICK.text}`);
    const values = [fleet.deploymentId, "default", "{}", floor, 1].map((value) => `'${value}'`);
    const { rows } = await client.query(`explain (analyze, buffers, format json) execute pick (${values})`);
    const [{ Plan: plan }] = rows[0]["QUERY PLAN"];
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
  } finally {
    client.release(true);
  }
}

const PAST = 3_000;
const PLACE = { pool: "default", labels: {} };

test("control-plane 19: behind an idle transaction a claim passes by what earlier claims have left, without touching a row of it", async () => {
  const fleet = await freshFleet();
  const idle = await fleet.pool.connect();
  await idle.query("set idle_in_transaction_session_timeout = 0");
  await idle.query("begin isolation level repeatable read");
  await idle.query("select pg_current_xact_id()");
  await fleet.pool.query(
    `insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool, state, not_before)
     select $1, 'gone-' || n, $2, $2, '{t}', false, 'default', 'pending', now() - interval '1 hour' from generate_series(1, $3::int) n`,
    [fleet.deploymentId, fleet.datasourceId, PAST],
  );
  await fleet.pool.query("update jobs set state = 'completed' where state = 'pending'");
  await fleet.job("waiting");
  const ready = new ReadyJobs(fleet.pool);
  expect(await ready.readAll()).toMatchObject([{ ...PLACE, deploymentId: fleet.deploymentId, jobs: 1 }]);
  const since = ready.floor({ ...PLACE, deploymentId: fleet.deploymentId });

  // Those that are stepped over are touched one by one.
  expect(await pagesTouched(fleet, "-infinity")).toBeGreaterThan(PAST / 2);
  expect(await pagesTouched(fleet, since)).toBeLessThan(PAST / 10);

  await idle.query("rollback");
  idle.release(true);
}, 60_000);

test("control-plane 19: a job that was ready before the floor when nobody could see it yet is claimed after the next look", async () => {
  const fleet = await freshFleet();
  const ready = new ReadyJobs(fleet.pool);
  const writes = groupedJobWrites(fleet.pool, ready, KEYRING);
  const sessionId = await fleet.worker("w");
  const claim = async (): Promise<string | undefined> => {
    const { grantMs } = DEFAULT_TIMING;
    const asked = { ...fleet.registration(sessionId), sessionId, claimId: randomUUID(), slots: 1, grantMs };
    const claimed = await writes.claim(asked);
    return claimed === "refused" ? claimed : claimed.granted[0]?.jobId;
  };
  // GIVEN a transaction that began long ago and has put in a job
  const late = await fleet.job("late");
  const slow = await fleet.pool.connect();
  await slow.query("set idle_in_transaction_session_timeout = 0");
  await slow.query("begin");
  await slow.query("update jobs set not_before = now() - interval '1 hour' where id = $1", [late]);
  const prompt = await fleet.job("prompt");
  await ready.readAll();

  expect(await claim()).toBe(prompt);
  expect(await claim()).toBeUndefined();
  await slow.query("commit");
  slow.release(true);
  expect(await claim()).toBeUndefined();
  expect(await ready.read()).toEqual([]);

  expect(await ready.readAll()).toMatchObject([{ jobs: 1 }]);

  expect(await claim()).toBe(late);
}, 60_000);

test("control-plane 19: what is ready in one pool for long, and what will be ready, holds up no other pool's floor", async () => {
  const fleet = await freshFleet();
  const { deploymentId } = fleet;
  await fleet.job("patient", { pool: "batch", labels: { gpu: "yes" } });
  await fleet.job("quick", { pool: "batch" });
  await fleet.pool.query("update jobs set not_before = now() - interval '1 hour' where name = 'patient'");
  await fleet.job("later");
  await fleet.pool.query("update jobs set not_before = now() + interval '1 hour' where name = 'later'");
  const ready = new ReadyJobs(fleet.pool);
  const age = async (pool: string): Promise<number> => {
    const asked = await fleet.pool.query("select extract(epoch from now() - $1::timestamptz)::int as seconds", [
      ready.floor({ deploymentId, pool, labels: {} }),
    ]);
    return asked.rows[0].seconds;
  };

  const groups = await ready.readAll();

  expect(groups.map(({ pool, labels, jobs }) => ({ pool, labels, jobs }))).toEqual(
    expect.arrayContaining([
      { pool: "batch", labels: { gpu: "yes" }, jobs: 1 },
      { pool: "batch", labels: {}, jobs: 1 },
    ]),
  );
  expect(groups).toHaveLength(2);
  expect(await age("batch")).toBeGreaterThanOrEqual(3_600);
  expect(await age("default")).toBeLessThan(3_600);
  expect(await age("nowhere")).toBeLessThan(3_600);
});

test("where the database does not say what is ready, nothing is passed by", async () => {
  const fleet = await freshFleet();
  let isAway = false;
  const query = async (...asked: Parameters<Queryable["query"]>) => {
    if (isAway) throw new Error("it does not answer");
    return await (fleet.pool as Queryable).query(...asked);
  };
  const ready = new ReadyJobs({ query: query as Queryable["query"] });
  const place = { ...PLACE, deploymentId: fleet.deploymentId };
  await ready.readAll();
  expect(ready.floor(place)).not.toBe("-infinity");

  isAway = true;
  await expect(ready.readAll()).rejects.toThrow("it does not answer");

  expect(ready.floor(place)).toBe("-infinity");
});
