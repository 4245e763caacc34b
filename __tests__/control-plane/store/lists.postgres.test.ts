import { openDatabase } from "../../../control-plane/store/database";
import {
  listDatasources,
  listDeployments,
  listJobs,
  listWorkers,
  type Page,
} from "../../../control-plane/store/inventory";
import { TestFleet, useFleets } from "./fleet";

const fleets = useFleets();

const MANY = 10_000;
const PAGE = 100;

/** So many workers and jobs: each worker runs one, with figures. */
async function large(fleet: TestFleet): Promise<void> {
  const { pool, deploymentId, datasourceId } = fleet;
  await pool.query(
    `insert into sessions (id, deployment_id, worker_id, state, pool, labels, slots, features, agent_version, daemon_version)
     select gen_random_uuid(), $1, 'i-' || lpad(n::text, 6, '0'), 'open', 'default', '{}', 4, '{}', '1', '1' from generate_series(1, $2::int) n`,
    [deploymentId, MANY],
  );
  await pool.query("insert into leases (session_id, expires_at) select id, now() + interval '1 hour' from sessions");
  await pool.query(
    `insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool, state, fence, session_id)
     select $1, 'job-' || worker_id, $2, $2, '{t}', false, 'default', 'running', 1, id from sessions`,
    [deploymentId, datasourceId],
  );
  await pool.query(`insert into job_metrics (job_id, fence, figures) select id, 1, '{"lagMs":1}' from jobs`);
  await pool.query("analyze");
}

test("control-plane 30: of 10,000 workers and 10,000 jobs a page of a list reads no more than what it shows", async () => {
  const { pool, url } = await fleets.postgres.freshDatabase();
  const fleet = await TestFleet.create(pool);
  await large(fleet);
  const database = openDatabase(url, 1);
  const client = await database.connect();
  /** Rows that were read of each table for a page from the middle of a list. */
  const readFor = async (list: (page: Page) => Promise<readonly unknown[]>, after: string) => {
    await client.query("begin");
    expect(await list({ after, limit: PAGE })).toHaveLength(PAGE);
    const { rows } = await client.query<{ relname: string; read: number }>(
      `select relname, (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int as read
       from pg_stat_xact_user_tables where coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) > 0`,
    );
    await client.query("rollback");
    return rows;
  };
  const lists = {
    jobs: await readFor(async (page) => await listJobs(client as never, fleet.deploymentId, page), "job-i-005000"),
    workers: await readFor(async (page) => await listWorkers(client as never, fleet.deploymentId, page), "i-005000"),
  };
  client.release();
  await database.end();

  for (const [list, tables] of Object.entries(lists)) {
    expect(tables.length).toBeGreaterThan(1);
    // Of datasources each job names two.
    for (const { relname, read } of tables) expect([list, relname, read <= 2 * PAGE]).toEqual([list, relname, true]);
  }
}, 120_000);

test("the pages of a list are the list, each once, in order", async () => {
  const fleet = await fleets.freshFleet();
  for (const name of ["b", "a", "d", "c", "é", "B"]) await fleet.job(name);
  for (const name of ["w2", "w1", "w3"]) await fleet.worker(name);
  const { pool, deploymentId } = fleet;
  const lists = {
    name: [
      async (page?: Page) => await listJobs(pool, deploymentId, page),
      async (page?: Page) => await listDatasources(pool, deploymentId, page),
      async (page?: Page) => await listDeployments(pool, null, page),
    ],
    workerId: [async (page?: Page) => await listWorkers(pool, deploymentId, page)],
  };
  for (const [key, each] of Object.entries(lists)) {
    for (const list of each) {
      const whole = (await list()).map((entry) => entry[key]);
      expect(whole.length).toBeGreaterThan(0);
      const paged: unknown[] = [];
      for (let after = ""; ; after = String(paged.at(-1))) {
        const part = (await list({ after, limit: 2 })).map((entry) => entry[key]);
        paged.push(...part);
        if (part.length < 2) break;
      }
      expect(paged).toEqual(whole);
    }
  }
});

test("a datasource says how many jobs use it, also one that is read and written by the same job", async () => {
  const fleet = await fleets.freshFleet();
  await fleet.job("a");
  await fleet.job("b");

  expect(await listDatasources(fleet.pool, fleet.deploymentId)).toMatchObject([{ jobs: 2 }]);
});
