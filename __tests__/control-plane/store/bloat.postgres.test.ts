import type { Client } from "pg";
import { PICK } from "../../../control-plane/store/claim";
import { RENEW } from "../../../control-plane/store/heartbeats";
import { deletePast } from "../../../control-plane/store/retention";
import { eventually } from "../../support/eventually";
import { longForm } from "../../support/long-form";
import { connectPatiently, startTestPostgres, type TestPostgres } from "../../support/postgres";
import { TestFleet } from "./fleet";

let postgres: TestPostgres;
let fleet: TestFleet;
let client: Client;
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);
beforeEach(async () => {
  fleet = await TestFleet.create((await postgres.freshDatabase()).pool);
  client = await connectPatiently(fleet.pool);
});
afterEach(() => client.end());
afterAll(() => postgres.stop(), 60_000);

const WORKERS = longForm(1_000, 10_000);
const BEATS = longForm(50_000, 50_000_000);
/** Heartbeats that share a statement. */
const GROUP = longForm(50, 2_000);
/** Statements that the server makes by itself, each in a transaction, so that the client's part does not take hours. */
const IN_A_ROW = 20;
const JOBS = longForm(10_000, 1_000_000);
const PORTION = 2_000;

const SAMPLES = 100;
/** Of what a statement read before. */
const AT_MOST = 1.2;

/** Pages that a statement goes through, on average: what its time depends on, whatever else the machine does. */
async function pagesOf(statement: string, values: () => Promise<unknown[]>): Promise<number> {
  let pages = 0;
  for (let sample = 0; sample < SAMPLES; sample++) {
    const { rows } = await client.query(`explain (analyze, buffers, format json) ${statement}`, await values());
    const [{ Plan: plan }] = rows[0]["QUERY PLAN"];
    pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
  }
  return pages / SAMPLES;
}

/** Without the index: that does not change. */
async function sizeOf(table: string): Promise<number> {
  return (await client.query("select pg_relation_size($1)::int as bytes", [table])).rows[0].bytes;
}

it(`control-plane 21: ${BEATS} heartbeats leave the leases as small as they were, nearly all without touching an index, and the next ones read about as many pages`, async () => {
  await client.query(
    `insert into sessions (id, deployment_id, worker_id, pool, labels, slots, features, agent_version, daemon_version, state)
     select gen_random_uuid(), $1, 'w-' || n, 'default', '{}', 4, '{}', '1', '1', 'open' from generate_series(1, $2::int) n`,
    [fleet.deploymentId, WORKERS],
  );
  await client.query("insert into leases select id, now() from sessions");
  await client.query(
    "insert into tokens (kind, deployment_id, session_id, hash) select 'worker', deployment_id, id, id::text::bytea from sessions",
  );
  await client.query("vacuum analyze");
  const before = await sizeOf("leases");
  const anybody = "select array(select id from tokens where kind = 'worker' order by random() limit 1) as ids";
  const pagesOfBeat = () => pagesOf(RENEW, async () => [(await client.query(anybody)).rows[0].ids, 30]);
  const pagesBefore = await pagesOfBeat();

  const someBeat = `do $do$ begin
    for n in 1 .. ${IN_A_ROW} loop
      execute $renew$${RENEW}$renew$
        using array(select id from tokens where kind = 'worker' order by random() limit ${GROUP}), 30;
      commit;
    end loop;
  end $do$`;
  for (let beats = 0; beats < BEATS; beats += IN_A_ROW * GROUP) await client.query(someBeat);

  expect(await sizeOf("leases")).toBeLessThanOrEqual(4 * before);
  const { updates, hot } = await eventually(async () => {
    const figures =
      "select n_tup_upd as updates, n_tup_hot_upd as hot from pg_stat_user_tables where relname = 'leases'";
    const seen = (await client.query<{ updates: number; hot: number }>(figures)).rows[0];
    return seen && seen.updates >= BEATS ? seen : undefined;
  });
  expect(hot / updates).toBeGreaterThanOrEqual(0.85);
  expect(await pagesOfBeat()).toBeLessThanOrEqual(AT_MOST * pagesBefore);
}, 7_200_000);

it(`control-plane 21: ${JOBS} jobs that came and went leave no more than those of the last days, and a claim reads about as many pages`, async () => {
  const tables = ["jobs", "ready_jobs", "job_metrics"];
  const comeAndGo = async (from: number): Promise<void> => {
    await client.query(
      `insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool, state)
       select $1, 'job-' || n, $2, $2, '{t}', false, 'default', 'pending' from generate_series($3::int, $4::int) n`,
      [fleet.deploymentId, fleet.datasourceId, from, from + PORTION - 1],
    );
    await client.query(
      `insert into job_metrics (job_id, fence, figures) select id, 1, '{"lagMs": 1}' from jobs where state = 'pending'`,
    );
    await client.query("update jobs set state = 'completed' where state = 'pending'");
    await client.query("update jobs set state = 'deleted' where state = 'completed'");
    await client.query("update jobs set deleted_at = now() - interval '2 days' where state = 'deleted'");
    expect(await deletePast(client, 1)).toBe(PORTION);
    // What autovacuum does in its own time.
    await client.query("vacuum jobs, ready_jobs, job_metrics");
  };
  await comeAndGo(1);
  await comeAndGo(PORTION + 1);
  const before = await Promise.all(tables.map(sizeOf));
  const pagesOfClaim = async () => {
    await fleet.job("waiting");
    await client.query("vacuum analyze jobs, ready_jobs");
    const pages = await pagesOf(PICK.text, async () => [fleet.deploymentId, "default", "{}", "-infinity", 1]);
    await client.query("delete from jobs");
    return pages;
  };
  const pagesBefore = await pagesOfClaim();
  for (let from = 2 * PORTION + 1; from < JOBS; from += PORTION) await comeAndGo(from);

  expect(await pagesOfClaim()).toBeLessThanOrEqual(AT_MOST * pagesBefore);
  const after = await Promise.all(tables.map(sizeOf));
  for (const [index, bytes] of after.entries()) expect(bytes).toBeLessThanOrEqual(2 * (before[index] ?? 0) + 65_536);
  const { rows } = await client.query("select (select count(*) from jobs) + (select count(*) from ready_jobs) as left");
  expect(rows).toEqual([{ left: 0 }]);
}, 7_200_000);
