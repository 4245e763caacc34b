import { randomUUID } from "node:crypto";
import { openDatabase } from "../../../control-plane/store/database";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { Operator, startCopy, TestWorker } from "./clients";

jest.setTimeout(240_000);

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);
afterAll(() => postgres.stop(), 60_000);

/** A database whose sessions begin with other settings than PostgreSQL's own. */
async function databaseWith(settings: readonly string[], migrated = true): Promise<string> {
  const { pool, url } = await postgres.freshDatabase({ migrated });
  const name = new URL(url).pathname.slice(1);
  for (const setting of settings) await pool.query(`alter database ${name} set ${setting}`);
  return url;
}

const OTHERWISE: readonly (readonly [what: string, settings: readonly string[]])[] = [
  [
    "dates in letters, of a time zone whose name is another's, too",
    ["DateStyle = 'SQL, DMY'", "TimeZone = 'Asia/Kolkata'"],
  ],
  ["German dates and a time zone behind UTC", ["DateStyle = 'German'", "TimeZone = 'America/St_Johns'"]],
  ["serializable transactions", ["default_transaction_isolation = 'serializable'"]],
  [
    "strings, bytes, intervals and numbers of old",
    [
      "standard_conforming_strings = off",
      "bytea_output = 'escape'",
      "IntervalStyle = 'sql_standard'",
      "extra_float_digits = -15",
    ],
  ],
  ["time limits", ["statement_timeout = '1ms'", "idle_in_transaction_session_timeout = '1ms'"]],
];

it.each(OTHERWISE)("jobs are claimed, run and told of where a database asks for %s", async (_, settings) => {
  const databaseUrl = await databaseWith(settings, false);
  const { controlPlane, logs } = await startCopy(databaseUrl);
  try {
    const { url } = controlPlane;
    const operator = await Operator.create(url, databaseUrl);
    const workers = await Promise.all(
      Array.from({ length: 6 }, (_, index) => new TestWorker(url, operator.deploymentToken, `i-${index}`).open()),
    );
    const jobs = await Promise.all(workers.map((_, index) => operator.createJob(`job-${index}`)));

    const grants = await Promise.all(workers.map(async (worker) => (await worker.claim(20_000)).grants));
    expect(grants.map(({ length }) => length)).toEqual(workers.map(() => 1));
    await Promise.all(
      workers.map(async (worker, index) => {
        const [grant] = grants[index] ?? [];
        const ref = { jobId: grant?.jobId ?? randomUUID(), fence: grant?.fence ?? 0 };
        await worker.ask("started", ref);
        await worker.beat({ running: [{ ...ref, status: "running", phase: "streaming" }] });
        await worker.ask("report", { ...ref, outcome: "completed", logTail: [] });
      }),
    );

    expect(
      grants
        .flat()
        .map(({ jobId }) => jobId)
        .sort(),
    ).toEqual(jobs.sort());
    const [token] = (await operator.get("/tokens")).body;
    expect(Math.abs(Date.parse(token.createdAt) - Date.now())).toBeLessThan(600_000);
    expect((await operator.get("/audit/verify")).body).toEqual({ tamperedAt: null });
    expect(logs.filter((line) => /"level":[45]0/.test(line) && !line.includes("nobody can operate this"))).toEqual([]);
  } finally {
    await controlPlane.stop();
  }
});

it("what was committed is kept, whatever a database asks for", async () => {
  const pool = openDatabase(await databaseWith(["synchronous_commit = off"]));

  const { rows } = await pool.query("show synchronous_commit");

  expect(rows).toEqual([{ synchronous_commit: "on" }]);
  await pool.end();
});

it("settings of an address stay, beside those that statements count on, and its name is ours", async () => {
  const url = new URL(await databaseWith([]));
  url.searchParams.set("options", "-c search_path=elsewhere,public -c plan_cache_mode=auto");
  url.searchParams.set("application_name", "shop");
  const pool = openDatabase(url.href);

  const { rows } = await pool.query(
    "select current_setting('search_path') as path, current_setting('plan_cache_mode') as plans, current_setting('application_name') as name",
  );

  expect(rows).toEqual([{ path: "elsewhere,public", plans: "force_generic_plan", name: "holdfast" }]);
  await pool.end();
});
