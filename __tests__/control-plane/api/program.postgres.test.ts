import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../../control-plane/store/free-port";
import { eventually } from "../../support/eventually";
import { inLongForm } from "../../support/long-form";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { useScratch } from "../../support/scratch";
import { send, TestWorker } from "./clients";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);
afterAll(() => postgres.stop(), 60_000);

const scratch = useScratch();
let program: ChildProcess | undefined;
afterEach(() => program?.kill("SIGKILL"));

const DATABASE_PASSWORD = `canary-database-${randomUUID()}`;
const DATASOURCE_PASSWORD = `canary-datasource-${randomUUID()}`;
const KEY = randomBytes(32).toString("hex");

/** The program as it is started in earnest, with what it says. */
async function started(): Promise<{
  pid: number;
  url: string;
  said: () => string;
  pool: Awaited<ReturnType<TestPostgres["freshDatabase"]>>["pool"];
}> {
  const { url, pool } = await postgres.freshDatabase();
  const role = `canary_${process.hrtime.bigint()}`;
  await pool.query(`create role ${role} login superuser password '${DATABASE_PASSWORD}'`);
  const database = new URL(url);
  database.username = role;
  database.password = DATABASE_PASSWORD;
  const [, start = ""] = /`node (.*control-plane\/main\.ts)`/.exec(readFileSync("docs/control-plane.md", "utf8")) ?? [];
  const snapshots = ["--heapsnapshot-signal=SIGUSR2", `--diagnostic-dir=${scratch.path}`];
  program = spawn(process.execPath, [...snapshots, ...start.split(" ")], {
    env: {
      ...process.env,
      DATABASE_URL_FILE: scratch.write("database-url", `${database.href}\n`),
      HOLDFAST_KEYRING_FILE: scratch.write("keyring", `k1:${KEY}\n`),
      HOLDFAST_PORT: "0",
      HOLDFAST_LOG_LEVEL: "debug",
      HOLDFAST_OPERATOR_TOKEN_FILE: join(scratch.path, "operator-token"),
    },
  });
  let said = "";
  for (const stream of [program.stdout, program.stderr]) stream?.on("data", (part) => (said += String(part)));
  const address = await eventually(async () => /"url":"([^"]+)"/.exec(said)?.[1]);
  return { pid: program.pid ?? 0, url: address, said: () => said, pool };
}

/** All processes that a process has begun, and those that they have. */
function descendants(pid: number): number[] {
  const tasks = `/proc/${pid}/task`;
  const children = readdirSync(tasks).flatMap((task) => readFileSync(`${tasks}/${task}/children`, "utf8").split(" "));
  return children.filter(Boolean).flatMap((child) => [Number(child), ...descendants(Number(child))]);
}

/** What operators and workers do with secrets, rightly and wrongly. */
async function used(url: string): Promise<string[]> {
  const operator = readFileSync(join(scratch.path, "operator-token"), "utf8").trim();
  const ask = async (path: string, body?: unknown, token = operator) =>
    (await send(url, `/api/v1${path}`, token, body)).body;
  const { id } = await ask("/deployments", { name: "shop" });
  const base = `/deployments/${id}`;
  const { token } = await ask(`${base}/tokens`, { kind: "deployment" });
  const datasource = {
    name: "db",
    engine: "postgres",
    url: "postgres://db/shop",
    user: "cdc",
    password: DATASOURCE_PASSWORD,
  };
  const { id: datasourceId } = await ask(`${base}/datasources`, datasource);
  await ask(`${base}/jobs`, { name: "orders", sourceId: datasourceId, sinkId: datasourceId, tables: ["t"] });
  const worker = new TestWorker(url, token, "i-1");
  worker.features = ["test_connection"];
  await worker.open();
  const [grant] = (await worker.claim()).grants;
  expect(grant?.spec.source.password).toBe(DATASOURCE_PASSWORD);
  await ask(`${base}/datasources/${datasourceId}/test`, { role: "source" });
  expect((await worker.beat()).actions).toMatchObject([{ connection: { password: DATASOURCE_PASSWORD } }]);
  // A name that is taken, an address with credentials, a message that is none, a token in the wrong place.
  await ask(`${base}/datasources`, datasource);
  await ask(`${base}/datasources`, { ...datasource, url: `postgres://cdc:${DATASOURCE_PASSWORD}@db/shop` });
  await ask(`${base}/datasources`, DATASOURCE_PASSWORD);
  await ask(`/${operator}`, undefined, token);
  await ask(`${base}/jobs?token=${operator}`, { password: DATASOURCE_PASSWORD }, worker.token);
  return [operator, token, worker.token];
}

it("control-plane 26: the program as it runs tells no secret in its arguments, its environment, its children's, or its logs", async () => {
  const { pid, url, said, pool } = await started();
  const tokens = await used(url);
  // Its database leaves it alone for a moment.
  await pool.query("select pg_terminate_backend(pid) from pg_stat_activity where usename ~ '^canary'");
  await eventually(async () => ((await fetch(`${url}/readyz`)).status === 200 ? true : undefined));
  await fetch(`${url}/metrics`);
  const secrets = [DATABASE_PASSWORD, DATASOURCE_PASSWORD, KEY, ...tokens];

  const processes = [pid, ...descendants(pid)];
  const shown = {
    arguments: processes.map((one) => readFileSync(`/proc/${one}/cmdline`, "utf8")).join(),
    environment: processes.map((one) => readFileSync(`/proc/${one}/environ`, "utf8")).join(),
    logs: said(),
  };
  expect(shown.arguments).toContain("control-plane/main.ts");
  expect(shown.logs).toContain("listening");
  for (const [where, text] of Object.entries(shown)) {
    expect([where, secrets.filter((secret) => text.includes(secret))]).toEqual([where, []]);
  }
});

it("goes on while what it says cannot be written, and ends when it is told to", async () => {
  const { url: databaseUrl } = await postgres.freshDatabase();
  const port = await freePort();
  program = spawn(process.execPath, ["--import", "tsx", "control-plane/main.ts"], {
    env: {
      ...process.env,
      DATABASE_URL: databaseUrl,
      HOLDFAST_KEYRING: `k1:${KEY}`,
      HOLDFAST_PORT: `${port}`,
      HOLDFAST_LOG_LEVEL: "debug",
    },
    stdio: ["ignore", openSync("/dev/full", "w"), "inherit"],
  });
  const ended = once(program, "exit");
  const ask = async () => await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(5_000) });

  await eventually(async () => ((await ask().catch(() => undefined))?.status === 200 ? true : undefined));
  for (let turn = 0; turn < 5; turn++) expect((await ask()).status).toBe(200);
  program.kill("SIGTERM");

  expect(await ended).toEqual([0, null]);
}, 120_000);

it("the program ends in order when the terminal that it was started in is closed", async () => {
  const { pid, said } = await started();

  const ended = once(program as ChildProcess, "exit");
  process.kill(pid, "SIGHUP");

  expect(await ended).toEqual([0, null]);
  expect(said()).toContain("listening");
});

inLongForm(() => {
  it("control-plane 26: what the program keeps in its memory holds no datasource's password and no token", async () => {
    const { pid, url } = await started();
    const tokens = await used(url);
    for (let round = 0; round < 30; round++) await (await fetch(`${url}/readyz`)).text();
    process.kill(pid, "SIGUSR2");
    // It is whole once it ends as JSON does.
    const snapshot = await eventually(async () => {
      const file = readdirSync(scratch.path).find((name) => name.endsWith(".heapsnapshot"));
      const text = file ? readFileSync(join(scratch.path, file), "utf8") : "";
      return /\]\s*\}\s*$/.test(text.slice(-20)) ? text : undefined;
    });

    expect(snapshot).toContain("holdfast listener");
    expect([DATASOURCE_PASSWORD, ...tokens].filter((secret) => snapshot.includes(secret))).toEqual([]);
  });
});
