import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chownSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { dirname, join } from "node:path";
import type { Pool } from "pg";
import { createLog } from "../../../../agent/host/log";
import { connectionTests } from "../../../../agent/worker/connection-test/connection-tests";
import { testConnection } from "../../../../agent/worker/connection-test/test-connection";
import type { Connection, Request } from "../../../../control-plane/protocol";
import { startTestPostgres, type TestPostgres } from "../../../support/postgres";
import { eventually } from "../../daemon/eventually";

jest.setTimeout(120_000);

const PASSWORD = "canary-p@ss/word";
let logical: TestPostgres;
let replica: TestPostgres;
let admin: Pool;
let database: string;

beforeAll(async () => {
  logical = await startTestPostgres({ wal_level: "logical", max_replication_slots: "1", max_wal_senders: "3" });
  replica = await startTestPostgres({ wal_level: "replica" });
  const fresh = await logical.freshDatabase({ migrated: false });
  admin = fresh.pool;
  database = new URL(fresh.url).pathname.slice(1);
  await enableTls(admin);
  for (const server of [admin, (await replica.freshDatabase({ migrated: false })).pool]) {
    await server.query(`create role cdc login replication password '${PASSWORD}'`);
    await server.query(`create role reader login password '${PASSWORD}'`);
    await server.query(`create role frozen login password '${PASSWORD}'`);
    await server.query("alter role frozen set default_transaction_read_only = on");
  }
  await admin.query(`grant create on database ${database} to cdc, frozen`);
});
afterAll(() => Promise.all([logical.stop(), replica.stop()]));

/** TLS with a certificate that nobody has signed. */
async function enableTls(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ hba: string }>("select current_setting('hba_file') as hba");
  const hba = rows[0]?.hba ?? "";
  const folder = dirname(hba);
  const { uid, gid } = statSync(folder);
  const [key, certificate] = [join(folder, "server.key"), join(folder, "server.crt")];
  const subject = ["-nodes", "-subj", "/CN=localhost", "-days", "2", "-keyout", key, "-out", certificate];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", ...subject], { stdio: "pipe" });
  for (const file of [key, certificate]) chownSync(file, uid, gid);
  const plain = readFileSync(hba, "utf8");
  writeFileSync(hba, `hostnossl all reader 127.0.0.1/32 reject\n${plain}`);
  await pool.query("alter system set ssl = on");
  await pool.query("select pg_reload_conf()");
  await eventually("TLS is on", async () => expect((await pool.query("show ssl")).rows).toEqual([{ ssl: "on" }]));
}

function connection({
  user = "cdc",
  server = logical,
  ...other
}: Partial<Connection> & { server?: TestPostgres } = {}) {
  const { host } = new URL(server.cluster.url);
  const name = server === logical ? database : "postgres";
  return { engine: "postgres", url: `postgres://${host}/${name}`, user, password: PASSWORD, options: {}, ...other };
}

type Props = Parameters<typeof testConnection>[0];
const tested = (props: Partial<Props> = {}) =>
  testConnection({ role: "source", connection: connection(), plainConnectionsOnly: false, ...props });

const outcome = ({ steps }: Awaited<ReturnType<typeof tested>>) => steps.map(({ step, result }) => `${step} ${result}`);

/** Everything that a test could leave behind. */
async function traces(): Promise<unknown> {
  const { rows } = await admin.query(
    `select (select count(*) from pg_replication_slots) as slots, (select count(*) from pg_publication) as publications,
       (select count(*) from pg_class where relkind = 'r') as tables, (select count(*) from pg_namespace) as schemas`,
  );
  return rows;
}

test("R35: a source and a sink that can be used show it step by step, and nothing is left behind", async () => {
  const before = await traces();
  const source = await tested();
  const sink = await tested({ role: "sink" });

  expect(outcome(source)).toEqual([
    "dns ok",
    "tcp ok",
    "tls ok",
    "auth ok",
    "privileges ok",
    "replication ok",
    "slots ok",
  ]);
  expect(outcome(sink)).toEqual(["dns ok", "tcp ok", "tls ok", "auth ok", "privileges ok", "write ok"]);
  expect([source.ok, sink.ok]).toEqual([true, true]);
  expect(await traces()).toEqual(before);
  expect(JSON.stringify([source, sink])).not.toContain("canary");
});

test.each<[string, string, () => Partial<Props>, RegExp]>([
  [
    "dns",
    "no such host",
    () => ({ connection: connection({ url: "postgres://nowhere.invalid/shop" }) }),
    /nowhere\.invalid|in time|within/,
  ],
  ["tcp", "nobody listens", () => ({ connection: connection({ url: "postgres://127.0.0.1:1/shop" }) }), /ECONNREFUSED/],
  [
    "tls",
    "a certificate that nobody signed",
    () => ({ connection: connection({ options: { sslmode: "verify-full" } }) }),
    /self-signed/,
  ],
  [
    "tls",
    "TLS asked of a server without",
    () => ({ connection: connection({ server: replica, options: { sslmode: "require" } }) }),
    /offers no TLS/,
  ],
  [
    "auth",
    "a wrong password",
    () => ({ connection: connection({ password: "canary-wrong" }) }),
    /password authentication failed/,
  ],
  [
    "auth",
    "no such database",
    () => ({ connection: connection({ url: `${connection().url}_not` }) }),
    /does not exist/,
  ],
  [
    "privileges",
    "a user who may not replicate",
    () => ({ connection: connection({ user: "frozen" }) }),
    /ALTER ROLE … REPLICATION/,
  ],
  [
    "privileges",
    "a sink's schema that is not there",
    () => ({ role: "sink", connection: connection({ options: { SINK_SCHEMA: "nope" } }) }),
    /no schema nope/,
  ],
  [
    "privileges",
    "a sink's user who may create nothing",
    () => ({ role: "sink", connection: connection({ server: replica }) }),
    /GRANT CREATE ON DATABASE/,
  ],
  [
    "replication",
    "wal_level",
    () => ({ connection: connection({ server: replica }) }),
    /wal_level = replica: set it to logical/,
  ],
  [
    "write",
    "a user who may only read",
    () => ({ role: "sink", connection: connection({ user: "frozen" }) }),
    /read-only transaction/,
  ],
])("R35: step %s fails for %s, names the way out, and ends the test", async (step, _, props, detail) => {
  const result = await tested(props());

  const at = result.steps.findIndex((entry) => entry.result === "failed");
  expect(result.ok).toBe(false);
  expect(result.steps[at]).toMatchObject({ step, detail: expect.stringMatching(detail) });
  expect(result.steps.slice(at + 1).every((entry) => entry.result === "skipped")).toBe(true);
  expect(JSON.stringify(result)).not.toContain("canary");
});

test("R35: step slots fails where none is free", async () => {
  await admin.query("select pg_create_logical_replication_slot('only_one', 'pgoutput')");
  const result = await tested();
  await admin.query("select pg_drop_replication_slot('only_one')");

  expect(result.steps.at(-1)).toMatchObject({
    step: "slots",
    result: "failed",
    detail: expect.stringContaining("1 of 1 slots"),
  });
});

test("R35: a server that demands TLS is a warning of its own where the daemon speaks none, and where none was asked for", async () => {
  const deaf = await tested({ connection: connection({ user: "reader" }), plainConnectionsOnly: true });
  const unasked = await tested({ connection: connection({ user: "reader" }) });
  const ignored = await tested({
    connection: connection({ options: { sslmode: "require" } }),
    plainConnectionsOnly: true,
  });

  const tls = (result: typeof deaf) => result.steps.find(({ step }) => step === "tls");
  expect(tls(deaf)).toMatchObject({ result: "warning", detail: expect.stringContaining("cannot speak") });
  expect(outcome(deaf)[3]).toBe("auth failed");
  expect(tls(unasked)).toMatchObject({ result: "warning", detail: expect.stringContaining("sslmode=verify-full") });
  expect(tls(ignored)).toMatchObject({ result: "warning", detail: expect.stringContaining("not encrypted") });
  expect(ignored.ok).toBe(true);
});

test("R35: TLS that need not be verified is used", async () => {
  const result = await tested({ connection: connection({ options: { sslmode: "no-verify" } }) });
  expect(result.steps[2]).toMatchObject({
    step: "tls",
    result: "ok",
    detail: expect.stringMatching(/^TLSv1\.\d, .*not verified/),
  });
  expect(result.ok).toBe(true);
});

describe("a server of another kind", () => {
  let server: Server | undefined;
  let heard = 0;
  afterEach(() => new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined))));

  /** Sends the bytes to whoever connects, and then nothing. */
  async function listening(engine: string, greeting: Buffer): Promise<Connection> {
    const listener = createServer(
      (socket) =>
        void socket
          .on("error", () => {})
          .on("data", ({ length }) => {
            heard += length;
          })
          .write(greeting),
    );
    server = listener;
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    return connection({ engine, url: `${engine}://127.0.0.1:${(listener.address() as AddressInfo).port}/shop` });
  }

  test("R35: that is silent uses up the time for all steps, which is less than 10 s", async () => {
    const silent = await listening("postgres", Buffer.alloc(0));
    heard = 0;
    jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "queueMicrotask"] });
    try {
      const testing = tested({ connection: silent });
      await eventually("its TLS is asked for", async () => expect(heard).toBeGreaterThan(0));
      await jest.advanceTimersByTimeAsync(9_999);

      const result = await testing;
      expect(outcome(result).slice(0, 4)).toEqual(["dns ok", "tcp ok", "tls failed", "auth skipped"]);
      expect(result.steps[2]?.detail).toContain("did not finish");
    } finally {
      jest.useRealTimers();
    }
  });

  test("control-plane 29: what the agent adds to the time of a silent server is nothing: it asks at once, and answers as the last step ends", async () => {
    const silent = await listening("postgres", Buffer.alloc(0));
    heard = 0;
    jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "queueMicrotask"] });
    try {
      const answers: { readonly atMs: number; readonly message: Request<"connection-test"> }[] = [];
      const test = connectionTests({
        controlPlane: {
          post: async (_, message) => {
            answers.push({ atMs: performance.now(), message: message as Request<"connection-test"> });
            return {} as never;
          },
        },
        session: { token: "session" },
        quirks: { plainConnectionsOnly: false },
        log: createLog(() => {}),
      });
      const askedMs = performance.now();
      const wanted = { kind: "test_connection", testId: randomUUID(), deadlineMs: 30_000 } as const;
      test({ ...wanted, role: "source", connection: silent });
      await eventually("its TLS is asked for", async () => expect(heard).toBeGreaterThan(0));
      await jest.advanceTimersByTimeAsync(9_999);

      expect(answers).toHaveLength(1);
      const [{ atMs, message } = { atMs: Number.NaN, message: undefined }] = answers;
      expect(message?.testId).toBe(wanted.testId);
      const stepsMs = message?.steps.reduce((sum, { ms }) => sum + ms, 0) ?? Number.NaN;
      expect(stepsMs).toBeGreaterThan(9_000);
      expect(Math.abs(atMs - askedMs - stepsMs)).toBeLessThanOrEqual(message?.steps.length ?? 0);
    } finally {
      jest.useRealTimers();
    }
  });

  test.each([
    ["leaves a login without an answer", {}],
    ["has no TLS where that is asked for", { sslmode: "require" }],
  ])("R35: no connection stays open to a server that %s", async (_, options) => {
    const open = new Set<Socket>();
    const listener = createServer((socket) => {
      open.add(socket.on("error", () => {}).on("close", () => open.delete(socket)));
      // To a request for TLS it says no, to a login nothing.
      socket.once("data", ({ length }) => length === 8 && socket.write("N"));
    });
    server = listener;
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const url = `postgres://127.0.0.1:${(listener.address() as AddressInfo).port}/shop`;

    try {
      expect((await tested({ connection: connection({ url, options }), timeoutMs: 1_000 })).ok).toBe(false);
      await eventually("all are closed", async () => expect(open.size).toBe(0));
    } finally {
      for (const socket of open) socket.destroy();
    }
  });

  test.each([
    [
      "auth",
      "refuses",
      Buffer.concat([Buffer.from([23, 0, 0, 0, 0xff, 0x10, 0x04]), Buffer.from("Too many connections")]),
      /Too many connections/,
    ],
    ["tls", "is none", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"), /does not speak MySQL/],
  ])("R35: the step %s fails at a MySQL server that %s", async (step, _, bytes, detail) => {
    const result = await tested({ connection: await listening("mysql", bytes), timeoutMs: 5_000 });
    const failed = result.steps.find(({ result: how }) => how === "failed");
    expect(failed).toMatchObject({ step, detail: expect.stringMatching(detail) });
  });
});

test.each(["postgres", "mysql", "starrocks"])(
  "R35: a URL of %s that cannot be decoded is a step that failed, with what to do",
  async (engine) => {
    const undecodable = { engine, url: "http://127.0.0.1:8030/%zz", user: "u", password: PASSWORD, options: {} };

    const tested = await testConnection({ role: "sink", connection: undecodable, plainConnectionsOnly: false });

    const detail = "the datasource's url cannot be decoded: write %25 for a % that begins no escape";
    expect(tested).toEqual({ ok: false, steps: [{ step: "dns", result: "failed", ms: expect.any(Number), detail }] });
  },
);
