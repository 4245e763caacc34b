import { openDatabase, type Queryable, transaction } from "../../../control-plane/store/database";
import {
  type Listed,
  listDatasources,
  listDeployments,
  listJobs,
  listWorkers,
  type Page,
} from "../../../control-plane/store/inventory";
import { MOST_SHOWN, surveyJobs, surveyWorkers } from "../../../control-plane/store/survey";
import { issueToken, listTokens } from "../../../control-plane/store/tokens";
import { listUpgrades, listUpgradeWorkers } from "../../../control-plane/store/upgrades";
import { TestFleet, useFleets } from "./fleet";

const fleets = useFleets();

const MANY = 10_000;
const PAGE = 100;

/** So many workers and jobs: each worker runs one, with figures, and has had two sessions before. */
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
  await pool.query(
    `insert into sessions (id, deployment_id, worker_id, state, closed_at, pool, labels, slots, features, agent_version, daemon_version)
     select gen_random_uuid(), deployment_id, worker_id, 'closed', now(), pool, labels, slots, features, agent_version, daemon_version
     from sessions, generate_series(1, 2)`,
  );
  await pool.query("analyze");
}

test("control-plane 30: of 10,000 workers and 10,000 jobs a page of a list reads no more than what it shows", async () => {
  const { pool, url } = await fleets.postgres.freshDatabase();
  const fleet = await TestFleet.create(pool);
  await large(fleet);
  const database = openDatabase(url, 1);
  const { deploymentId } = fleet;
  /** Rows that are read of each table, by a connection that has read nothing before. */
  const readFor = async (list: (db: Queryable) => Promise<readonly unknown[]>, count: number) => {
    const client = await database.connect();
    await client.query("begin");
    expect(await list(client as Queryable)).toHaveLength(count);
    const { rows } = await client.query<{ relname: string; read: number }>(
      `select relname, (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int as read
       from pg_stat_xact_user_tables where coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) > 0`,
    );
    client.release(true);
    return rows;
  };
  const lists = {
    jobs: await readFor((db) => listJobs(db, deploymentId, { after: "job-i-005000", limit: PAGE }), PAGE),
    workers: await readFor((db) => listWorkers(db, deploymentId, { after: "i-005000", limit: PAGE }), PAGE),
  };
  const surveys = [
    ...(await readFor(async (db) => (await surveyJobs(db, deploymentId)).shown, MOST_SHOWN)),
    ...(await readFor(async (db) => (await surveyWorkers(db, deploymentId)).shown, MOST_SHOWN)),
  ];
  await database.end();

  for (const [list, tables] of Object.entries(lists)) {
    expect(tables.length).toBeGreaterThan(1);
    // Of datasources each job names two.
    for (const { relname, read } of tables) expect([list, relname, read <= 2 * PAGE]).toEqual([list, relname, true]);
  }
  // The status page judges all jobs and all workers, by their leases: those are read once, and again what is shown.
  const JUDGED = ["jobs", "sessions", "leases"];
  expect(surveys.map(({ relname }) => relname)).toEqual(
    expect.arrayContaining([...JUDGED, "datasources", "job_metrics"]),
  );
  for (const { relname, read } of surveys) {
    const most = (JUDGED.includes(relname) ? MANY : 0) + 2 * MOST_SHOWN;
    expect([relname, read, read <= most]).toEqual([relname, read, true]);
  }
}, 120_000);

test("the pages of a list are the list, each once, in order", async () => {
  const fleet = await fleets.freshFleet();
  for (const name of ["b", "a", "d", "c", "é", "B"]) await fleet.job(name);
  for (const name of ["w2", "w1", "w3"]) await fleet.worker(name);
  const { pool, deploymentId } = fleet;
  // Several of the same instant.
  await transaction(pool, async (tx) => {
    for (let issued = 0; issued < 5; issued++) await issueToken(tx, { kind: "operator", deploymentId });
  });
  const { rows } = await pool.query<{ id: string }>(
    `insert into upgrades (deployment_id, pool, program, version, url, sha256, signature, downgrade, wave_size, soak, deadline, state, created_at)
     select $1, 'default', 'agent', '2', '', '', '', false, 1, '0', '0', 'done', now() - n / 2 * interval '1 day'
     from generate_series(1, 5) n returning id`,
    [deploymentId],
  );
  const [{ id: upgradeId } = { id: "" }] = rows;
  await pool.query("insert into upgrade_workers select $1, worker_id from sessions", [upgradeId]);
  const lists = {
    name: [
      async (page?: Page) => await listJobs(pool, deploymentId, page),
      async (page?: Page) => await listDatasources(pool, deploymentId, page),
      async (page?: Page) => await listDeployments(pool, null, page),
    ],
    workerId: [
      async (page?: Page) => await listWorkers(pool, deploymentId, page),
      async (page?: Page) => (await listUpgradeWorkers(pool, deploymentId, upgradeId, page)) as Listed[],
    ],
    id: [
      async (page?: Page) => await listTokens(pool, deploymentId, page),
      async (page?: Page) => await listUpgrades(pool, deploymentId, page),
    ],
  };
  for (const [key, each] of Object.entries(lists)) {
    for (const list of each) {
      const whole = (await list()).map((entry) => entry[key]);
      expect(whole.length).toBeGreaterThan(key === "name" ? 0 : 2);
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
