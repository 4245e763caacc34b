import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testConnection } from "../../../../agent/worker/connection-test/test-connection";
import { certificateAuthority } from "../../../support/certificates";
import { type HttpAnswer, type HttpRequest, type RunningServer, startHttpServer } from "../../../support/http-server";
import { startTestMariadb, type TestMariadb } from "../../../support/mariadb";

jest.setTimeout(120_000);

const PASSWORD = "canary-p@ss/word";
const scratch = mkdtempSync(join(tmpdir(), "holdfast-test-"));
let server: TestMariadb;
let plain: TestMariadb;

beforeAll(async () => {
  const { certificate, key } = certificateAuthority(scratch).issue("mariadb");
  server = await startTestMariadb({ log_bin: "binlog", binlog_format: "ROW", ssl_cert: certificate, ssl_key: key });
  plain = await startTestMariadb({ ssl: "0" });
  for (const { admin } of [server, plain]) {
    await admin.query("create database shop");
    for (const user of ["cdc", "reader", "member"])
      await admin.query(`create user ${user} identified by '${PASSWORD}'`);
    await admin.query("grant replication slave, binlog monitor on *.* to cdc");
    await admin.query("create role replicator");
    await admin.query("grant replication slave, binlog monitor on *.* to replicator");
    await admin.query("grant replicator to member");
    await admin.query("set default role replicator for member");
    await admin.query("grant select on shop.* to cdc, reader, member");
  }
});
afterAll(async () => {
  await server.stop();
  await plain.stop();
  rmSync(scratch, { recursive: true });
});

interface Wanted {
  readonly at?: TestMariadb;
  readonly user?: string;
  readonly password?: string;
  readonly role?: "source" | "sink";
  readonly options?: Readonly<Record<string, string>>;
}

async function tested({ at = server, user = "cdc", password = PASSWORD, role = "source", options = {} }: Wanted) {
  const url = `mysql://${at.host}:${at.port}/shop`;
  const unsigned = { MYSQL_TLS_SKIP_VERIFY: "true", MYSQL_GTID_ENABLED: "false", ...options };
  const connection = { engine: "mysql", url, user, password, options: unsigned };
  const result = await testConnection({ role, connection, plainConnectionsOnly: false });
  const { step, detail } = result.steps.findLast(({ result: how }) => how !== "skipped") ?? { step: "", detail: "" };
  return { ...result, outcome: result.steps.map((one) => `${one.step} ${one.result}`), step, detail };
}

const reached = (step: string, how: string): string[] => {
  const steps = ["dns", "tcp", "tls", "auth", "privileges", "replication"];
  const at = steps.indexOf(step);
  return steps.map((name, index) => `${name} ${index < at ? "ok" : index === at ? how : "skipped"}`);
};

test("R35: a MySQL source that can be used shows it step by step, and nothing is left behind", async () => {
  const state = async () => {
    const [tables] = await server.admin.query("select table_schema, table_name from information_schema.tables");
    return tables;
  };
  const before = await state();

  const source = await tested({});

  expect(source.outcome).toEqual(reached("replication", "ok"));
  expect(source.ok).toBe(true);
  const details = source.steps.map(({ detail }) => detail);
  expect(details[2]).toMatch(/^TLSv1\.\d, \w+, certificate not verified$/);
  expect(details[3]).toMatch(/^cdc@%, 1\d\.\d+.*MariaDB/);
  expect(JSON.stringify(source)).not.toContain("canary");
  expect(await state()).toEqual(before);
  const [left] = await server.admin.query("select id from information_schema.processlist where user = 'cdc'");
  expect(left).toEqual([]);
});

test.each<[string, string, Wanted, RegExp]>([
  ["tls", "a certificate that nobody known has signed", { options: { MYSQL_TLS_SKIP_VERIFY: "false" } }, /certificate/],
  ["auth", "a wrong password", { password: "canary-wrong" }, /Access denied/],
  ["privileges", "a user that only reads", { user: "reader" }, /GRANT REPLICATION SLAVE/],
  [
    "replication",
    "a server without MySQL's GTIDs",
    { options: { MYSQL_GTID_ENABLED: "true" } },
    /MYSQL_GTID_ENABLED=false/,
  ],
])("R35: the step %s of MySQL fails for %s, and says what to do", async (step, _, wanted, detail) => {
  const result = await tested(wanted);

  expect(result.outcome).toEqual(reached(step, "failed"));
  expect([result.ok, result.step]).toEqual([false, step]);
  expect(result.detail).toMatch(detail);
  expect(JSON.stringify(result)).not.toContain("canary");
});

test("R35: what a role allows its members is not seen, and said to be unseen", async () => {
  const result = await tested({ user: "member" });

  expect(result.steps[4]).toMatchObject({ step: "privileges", result: "warning" });
  expect(result.steps[4]?.detail).toContain("its role replicator");
});

test("R35: a MySQL server without TLS is used without, and one without a binary log is no source", async () => {
  const result = await tested({ at: plain });

  expect(result.outcome).toEqual(reached("replication", "failed"));
  expect(result.steps[2]?.detail).toBe("the server offers none");
  expect(result.detail).toContain("log_bin");
});

test.each([
  ["binlog_format", "STATEMENT", "ROW"],
  ["binlog_row_image", "MINIMAL", "FULL"],
])("R35: %s = %s is no source's", async (name, value, wanted) => {
  await server.admin.query(`set global ${name} = ${value}`);
  const result = await tested({});
  await server.admin.query(`set global ${name} = ${wanted}`);

  expect(result.outcome).toEqual(reached("replication", "failed"));
  expect(result.detail).toBe(`${name} = ${value}: set it to ${wanted}`);
});

test("R35: as a sink a MySQL server is tried as far as the login, and what is not checked says so", async () => {
  const result = await tested({ role: "sink", user: "reader" });

  expect(result.outcome).toEqual(["dns ok", "tcp ok", "tls ok", "auth ok", "privileges skipped", "write skipped"]);
  expect(result.ok).toBe(true);
  expect(result.steps.at(-1)?.detail).toBe("not checked: no daemon writes to MySQL");
});

test("R35: a source whose server_id the job has, too, is refused", async () => {
  await server.admin.query("set global server_id = 7");
  const result = await tested({ options: { MYSQL_SERVER_ID: "7" } });
  await server.admin.query("set global server_id = 1");

  expect(result.outcome).toEqual(reached("replication", "failed"));
  expect(result.detail).toBe("server_id = 7: give the job another MYSQL_SERVER_ID");
});

describe("R35: a StarRocks sink", () => {
  let frontend: RunningServer;
  let answer: (request: HttpRequest) => HttpAnswer;
  const asked: HttpRequest[] = [];
  const state = (): HttpAnswer => ({ status: 200, body: '{"status":"OK","state":"UNKNOWN"}' });

  beforeAll(async () => {
    frontend = await startHttpServer(
      (request) => {
        asked.push(request);
        return answer(request);
      },
      { host: server.host },
    );
    await server.admin.query(`create user loader identified by '${PASSWORD}'`);
    await server.admin.query("grant insert, alter on shop.* to loader");
  });
  afterAll(() => frontend.close());
  beforeEach(() => {
    asked.length = 0;
    answer = state;
  });

  async function loaded({ user = "loader", password = PASSWORD, port = server.port, database = "shop" } = {}) {
    const options = { SINK_PORT: `${port}`, SINK_DATABASE: database };
    const connection = { engine: "starrocks", url: frontend.endpoint, user, password, options };
    const result = await testConnection({ role: "sink", connection, plainConnectionsOnly: true });
    return { ...result, outcome: result.steps.map(({ step, result: how }) => `${step} ${how}`) };
  }

  const REACHED = ["dns ok", "tcp ok", "tcp ok", "tls ok", "auth ok"];

  test("is tried on both ports, by MySQL's protocol and over HTTP, and nothing is loaded", async () => {
    const result = await loaded();

    expect(result.outcome).toEqual([...REACHED, "privileges ok", "auth ok", "write skipped"]);
    expect(result.ok).toBe(true);
    expect(result.steps.at(-1)?.detail).toBe("not checked: a stream load would leave a row");
    expect(asked.map(({ method, url }) => `${method} ${url.pathname}`)).toEqual(["GET /api/shop/get_load_state"]);
    const login = Buffer.from(`loader:${PASSWORD}`).toString("base64");
    expect(asked[0]?.headers["authorization"]).toBe(`Basic ${login}`);
    expect(JSON.stringify(result)).not.toContain("canary");
  });

  test("whose user may only read is warned of, since a role may hold the rest", async () => {
    const result = await loaded({ user: "reader" });

    expect(result.outcome).toEqual([...REACHED, "privileges warning", "auth ok", "write skipped"]);
    expect(result.steps[5]?.detail).toContain("GRANT ALTER, INSERT ON ALL TABLES IN DATABASE shop");
  });

  test.each<[string, number, Parameters<typeof loaded>[0], RegExp]>([
    ["its MySQL port is closed", 2, { port: 1 }, /ECONNREFUSED/],
    ["the password is wrong", 4, { password: "canary-wrong" }, /Access denied/],
    ["there is no such database", 4, { database: "nope" }, /nope/],
  ])("fails where %s", async (_, at, wanted, detail) => {
    const result = await loaded(wanted);

    expect([result.ok, result.steps.findIndex(({ result: how }) => how === "failed")]).toEqual([false, at]);
    expect(result.steps[at]?.detail).toMatch(detail);
    expect(JSON.stringify(result)).not.toContain("canary");
  });

  test.each<[string, HttpAnswer, string, RegExp]>([
    ["refuses the login", { status: 401 }, "failed", /refuses the login over HTTP: 401/],
    [
      "leads to another frontend, with the login in its address",
      { status: 307, headers: { location: `http://loader:${PASSWORD.replaceAll("/", "%2F")}@leader:8030/api` } },
      "ok",
      /led by leader:8030$/,
    ],
    ["is a backend's", { status: 404 }, "skipped", /no frontend's HTTP port/],
    ["knows no such database", { status: 200, body: '{"status":"FAILED","msg":"unknown"}' }, "failed", /unknown/],
  ])("is told what its HTTP port says: one that %s", async (_, given, how, detail) => {
    answer = () => given;
    const result = await loaded();

    expect(result.steps[6]).toMatchObject({ step: "auth", result: how, detail: expect.stringMatching(detail) });
    expect(JSON.stringify(result)).not.toContain("canary");
  });
});
