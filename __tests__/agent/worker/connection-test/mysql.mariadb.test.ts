import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testConnection } from "../../../../agent/worker/connection-test/test-connection";
import { certificateAuthority } from "../../../support/certificates";
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

test("R35: as a sink a MySQL server is tried as far as the login", async () => {
  const result = await tested({ role: "sink", user: "reader" });

  expect(result.outcome).toEqual(["dns ok", "tcp ok", "tls ok", "auth ok"]);
});
