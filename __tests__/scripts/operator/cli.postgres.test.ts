import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Pool } from "pg";
import { LeaseTiming } from "../../../control-plane/lease/timing";
import { ensureOperator } from "../../../control-plane/store/first-operator";
import { startCopy, TestWorker } from "../../control-plane/api/clients";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { useScratch } from "../../support/scratch";
import { type Outcome, holdfast as runHoldfast } from "./holdfast";

/** A lease so short that the database has been up for one, and no gap between two pulses that counts. */
const QUICK = { heartbeatMs: 20, workerLeaseMs: 40, killMs: 1, watchdogMs: 1, serverLeaseMs: 100, sweepMs: 3_600_000 };

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);
afterAll(() => postgres.stop(), 60_000);

const scratch = useScratch();
let copy: Awaited<ReturnType<typeof startCopy>>;
let pool: Pool;
let databaseUrl: string;
let environment: Record<string, string>;
let said: string[];
beforeEach(async () => {
  ({ pool, url: databaseUrl } = await postgres.freshDatabase());
  const tokenFile = join(scratch.path, "operator-token");
  await ensureOperator(pool, tokenFile);
  copy = await startCopy(databaseUrl);
  said = [];
  environment = { HOLDFAST_URL: copy.controlPlane.url, HOLDFAST_TOKEN_FILE: tokenFile };
}, 60_000);
afterEach(() => copy.controlPlane.stop(), 60_000);

/** Runs `holdfast <line>`; `{}` stands for the scratch directory. */
async function holdfast(line: string, variables: Record<string, string> = environment): Promise<Outcome> {
  const outcome = await runHoldfast(line.replaceAll("{}", scratch.path).split(" "), variables);
  said.push(outcome.out, outcome.err);
  return outcome;
}

async function done(line: string, variables?: Record<string, string>): Promise<string> {
  const { code, out, err } = await holdfast(line, variables);
  expect([code, err]).toEqual([0, ""]);
  return out;
}

/** A deployment with a job between two datasources. */
async function shop(): Promise<void> {
  writeFileSync(join(scratch.path, "password"), "canary-password\n");
  await done("deployment create shop");
  const rest = "--engine postgres --at postgres://db:5432/shop --user cdc --password-file {}/password";
  await done(`datasource create orders-db ${rest}`);
  await done("datasource create copy-db --engine postgres --at postgres://db/copy --user cdc", {
    ...environment,
    HOLDFAST_DATASOURCE_PASSWORD: "canary-password",
  });
  await done(
    "job create orders --source orders-db --sink copy-db --tables public.orders,public.items --label disk=ssd",
  );
}

/** A worker of the deployment, in its default pool. @param features of an agent by default */
async function openWorker(features?: string[]): Promise<TestWorker> {
  await done("token create --kind deployment --out {}/deployment-token");
  const token = readFileSync(join(scratch.path, "deployment-token"), "utf8").trim();
  const worker = new TestWorker(copy.controlPlane.url, token, "i-1");
  if (features) worker.features = features;
  return await worker.open();
}

it("takes a deployment from nothing to a job that a worker runs, and ends it again", async () => {
  await shop();
  const worker = await openWorker();
  expect(statSync(join(scratch.path, "deployment-token")).mode & 0o777).toBe(0o600);

  expect(await done("job list")).toMatch(/^orders +pending +orders-db +copy-db/m);
  expect(JSON.parse(await done("deployment show shop --json"))).toEqual({
    name: "shop",
    id: expect.any(String),
    datasources: 2,
    workers: 1,
    jobs: { pending: 1 },
  });
  expect(await done("worker list")).toMatch(/^i-1 +healthy +default +0 +4 +1\.0\.0$/m);
  expect(await done("job pause orders")).toBe("job orders is paused\n");
  expect(await done("job run orders")).toBe("job orders is pending\n");
  expect(await done("worker drain i-1")).toContain("worker i-1 drains");
  expect((await worker.beat()).actions).toMatchObject([{ kind: "drain" }]);
  expect(await done("worker show i-1")).toMatch(/^state: +draining$/m);
  expect(await done("job stop orders")).toBe("job orders is stopped\n");

  const used = await holdfast("datasource delete orders-db");
  expect(used).toMatchObject({ code: 1, out: "" });
  expect(used.err).toContain("CONFLICT: jobs use the datasource: orders; delete them first");
  expect(await done("job delete orders")).toBe("job orders is deleted\n");
  expect(await done("datasource delete orders-db")).toBe("deleted datasource orders-db\n");
  expect(JSON.parse(await done("datasource list --json"))).toMatchObject([{ name: "copy-db", jobs: 0 }]);
  expect(await done("audit list")).toMatch(/datasource\.delete/);
  expect(await done("audit verify")).toContain("every entry fits");
});

it("control-plane 27: lists a whole audit log, verifies it part by part, says how far it is, and finds the entry that is missing between two parts", async () => {
  const { id } = JSON.parse(await done("deployment create shop --json"));
  for (let from = 0; from < 10_500; from += 500) {
    await pool.query(
      `select add_audit_entries(array(
         select ($1, 0, now(), 'test', 'counted', n, '{}', '')::audit_log from generate_series(1, 500) n))`,
      [id],
    );
  }
  const { code, out, err } = await holdfast("audit verify");
  expect([code, out, err]).toEqual([0, "every entry fits the one before\n", "10000 of 10501 entries fit\n"]);
  expect(JSON.parse(await done("audit list --json"))).toHaveLength(10_501);
  expect(JSON.parse(await done("audit list --after 9000 --json"))).toHaveLength(1_501);

  await pool.query("alter table audit_log disable trigger user");
  await pool.query("delete from audit_log where deployment_id = $1 and seq = 10001", [id]);
  const broken = await holdfast("audit verify");
  expect([broken.code, broken.out]).toEqual([1, ""]);
  expect(broken.err).toContain("AUDIT_TAMPERED: entry 10001 was changed, removed or put in");

  const url = `${copy.controlPlane.url}/api/v1/deployments/${id}/audit/verify?next=10000.ab`;
  const token = readFileSync(environment["HOLDFAST_TOKEN_FILE"] ?? "", "utf8").trim();
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  expect([answer.status, await answer.json()]).toMatchObject([
    400,
    { error: { message: "next: write what the part before was answered with" } },
  ]);
});

it("lists and finds what comes in several parts", async () => {
  await shop();
  await pool.query(
    `insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool)
     select deployment_id, 'job-' || lpad(n::text, 5, '0'), source_id, sink_id, tables, false, 'default'
     from jobs, generate_series(1, 2100) n`,
  );

  const listed = JSON.parse(await done("job list --json"));
  expect(new Set(listed.map(({ name }: { name: string }) => name)).size).toBe(2_101);
  expect(JSON.parse(await done("deployment show shop --json"))).toMatchObject({ jobs: { pending: 1, created: 2_100 } });
  expect(await done("job show job-02099")).toMatch(/^name: +job-02099$/m);
});

it("names the slot that a job may leave in its source when it is deleted while nobody runs it", async () => {
  await shop();
  const worker = await openWorker();
  const jobThatRan = async (name: string) => {
    await done(`job create ${name} --source orders-db --sink copy-db --tables public.orders`);
    const [grant] = (await worker.claim()).grants;
    if (!grant) throw new Error("nothing to claim");
    await worker.ask("release", { reason: "drain", jobs: [{ jobId: grant.jobId, fence: grant.fence }] });
    return `holdfast_${grant.jobId.replaceAll("-", "")}`;
  };
  const slot = await jobThatRan("rested");
  const drop = `select pg_drop_replication_slot('${slot}')`;

  expect(await done("job delete rested")).toBe(
    `job rested is deleted; no worker ran it, so none could clean up in its source
replication slot ${slot} may be left in orders-db, which then keeps its log for it until the disk is full; drop it there:
  ${drop}
`,
  );
  const [entry] = JSON.parse(await done("audit list --json")).filter(
    ({ action }: { action: string }) => action === "job.delete",
  );
  expect(entry).toMatchObject({ detail: { to: "deleted", leftSlot: { slot, source: "orders-db", drop } } });

  const second = await jobThatRan("again");
  expect(JSON.parse(await done("job delete again --json"))).toEqual({
    id: expect.any(String),
    name: "again",
    state: "deleted",
    leftSlot: { slot: second, source: "orders-db", drop: `select pg_drop_replication_slot('${second}')` },
  });
});

it("removes the mark of a job of which changes may be missing once an operator confirms that he dealt with the gap he saw", async () => {
  await shop();
  expect(await done("job acknowledge-gap orders")).toBe("no changes of job orders are said to be missing\n");
  await pool.query("update jobs set gap_after = '0/5'");
  expect(await holdfast("job acknowledge-gap orders")).toMatchObject({
    code: 1,
    out: "",
    err: expect.stringMatching(
      /^NOT_CONFIRMED: nothing was changed: .* may be missing after 0\/5[\s\S]*next: .*compare[\s\S]* orders --after '0\/5' --yes\n$/,
    ),
  });
  await pool.query("update jobs set gap_after = ''");
  expect(await holdfast("job acknowledge-gap orders --after 0/5 --yes")).toMatchObject({
    code: 1,
    err: expect.stringContaining("CONFLICT: changes may be missing after an unknown position, which was told since"),
  });
  expect((await holdfast("job acknowledge-gap orders")).err).toContain("orders --after '' --yes");
  const acknowledged = "acknowledged that changes of job orders may be missing after an unknown position\n";
  expect(await done("job acknowledge-gap orders --yes")).toBe(acknowledged);
  expect(JSON.parse(await done("job show orders --json"))).toMatchObject({ gapAfter: null });
});

it("frees what a lost worker keeps once an operator confirms that it is gone, and not while it is heard of", async () => {
  await shop();
  await done("job create kept --source orders-db --sink copy-db --tables public.orders --on-disconnect keep");
  const lost = await openWorker();
  const [grant] = (await lost.claim()).grants;
  if (!grant) throw new Error("nothing to claim");
  await lost.ask("started", { jobId: grant.jobId, fence: grant.fence });

  await pool.query("update leases set expires_at = now() + interval '1 hour'");
  expect(await holdfast("worker gone i-1 --yes")).toMatchObject({
    code: 1,
    err: expect.stringContaining("CONFLICT: the worker still sends heartbeats, so it is not gone: drain it"),
  });
  await pool.query("update leases set expires_at = now() - interval '3 hours'");
  expect(await holdfast("worker gone i-1")).toMatchObject({
    code: 1,
    out: "",
    err: expect.stringMatching(
      /^NOT_CONFIRMED: nothing was changed: .*\(jobs: 1\)[\s\S]*where: worker i-1, silent for 3 h\n.*holdfast worker gone i-1 --yes\n$/,
    ),
  });
  expect(await done("job list")).toMatch(/^kept +running/m);

  await pool.query("update pulse set up_since = now()");
  expect((await holdfast("worker gone i-1 --yes")).err).toContain("CONFLICT: the control plane was away itself");
  const quick = await startCopy(databaseUrl, LeaseTiming.parse(QUICK));
  await pool.query("update pulse set up_since = now() - interval '1 hour'");
  const quickly = { ...environment, HOLDFAST_URL: quick.controlPlane.url };
  expect(await done("worker gone i-1 --yes", quickly)).toBe("worker i-1 is gone; jobs freed: 1\n");
  await quick.controlPlane.stop();
  expect(await done("worker list")).not.toContain("i-1");
  expect(await done("job list")).toMatch(/^kept +pending/m);
  expect(await lost.send("heartbeat", { seq: 9, state: "active", running: [], released: [] })).toMatchObject({
    status: 410,
    body: { error: { code: "session_closed" } },
  });
});

it("tests a connection from a worker and shows every step", async () => {
  await shop();
  expect((await holdfast("datasource test orders-db --role source")).err).toContain(
    "CONFLICT: no worker of pool default",
  );
  const worker = await openWorker(["test_connection"]);
  const answer = async (ok: boolean) => {
    const [action] = (await worker.claim(30_000)).actions;
    if (action?.kind !== "test_connection") throw new Error("nothing is to be tested");
    const step = {
      step: "auth",
      result: ok ? "ok" : "failed",
      ms: 12,
      detail: ok ? "as cdc" : "no such user",
    } as const;
    await worker.ask("connection-test", { testId: action.testId, ok, steps: [step] });
  };

  const good = holdfast("datasource test orders-db --role source");
  await answer(true);
  expect(await good).toEqual({
    code: 0,
    out: expect.stringMatching(/auth +ok +12 +as cdc\norders-db can be used from worker i-1/),
    err: "asked a worker of pool default, which has 30 s to answer\n",
  });

  const bad = holdfast("datasource test orders-db --role sink");
  await answer(false);
  expect(await bad).toMatchObject({
    code: 1,
    out: expect.stringMatching(/auth +failed +12 +no such user/),
    err: expect.stringContaining("CONNECTION_FAILED: orders-db: auth: no such user\n  where: worker i-1"),
  });
  expect(await done("key rotate")).toContain("wrapped 0 passwords with key k1");
});

it("shows why a job failed, and what its daemon said last", async () => {
  await shop();
  await done("job create bad --source orders-db --sink copy-db --tables public.nope");
  const worker = await openWorker();
  const [grant] = (await worker.claim()).grants;
  const logTail = ["connected", "no such table"];
  const end = { outcome: "failed", error: "exit 1", logTail } as const;
  await worker.ask("report", { jobId: grant?.jobId ?? "", fence: 1, ...end });

  const shown = await done("job show bad");
  expect(shown).toMatch(/^lastError: +exit 1$/m);
  expect(shown).toMatch(/last output:\nconnected\nno such table\n$/);
});

it("starts an upgrade of a pool's workers, shows it, and lets it rest, go on and end", async () => {
  await done("deployment create shop");
  const worker = await openWorker(["upgrade"]);
  const release = `--from https://releases.example/agent.mjs --sha256 ${"ab".repeat(32)} --signature c2lnbmVk`;
  expect((await holdfast("upgrade pause")).err).toContain("UPGRADE_MISSING: no upgrade is under way");
  expect(await holdfast(`upgrade start engine 2.0.0 ${release}`)).toMatchObject({
    code: 1,
    err: expect.stringContaining("write agent or daemon"),
  });
  const { id } = JSON.parse(await done(`upgrade start agent 2.0.0 ${release} --wave-size 2 --soak 5m --json`));

  // While it does not answer the upgrade goes on; without any worker it would be done with the next look.
  expect((await worker.claim(30_000)).actions).toMatchObject([{ kind: "upgrade", version: "2.0.0" }]);
  expect(await done("upgrade status")).toMatch(new RegExp(`^${id} +running +agent +2\\.0\\.0 +default +1 +0$`, "m"));
  expect((await holdfast(`upgrade start agent 3.0.0 ${release}`)).err).toContain(
    "CONFLICT: an upgrade of the agent runs",
  );
  expect(await done("upgrade pause")).toContain("the upgrade of the agent to 2.0.0 is paused");
  expect(await done("upgrade resume")).toContain("goes on");
  expect(await done(`upgrade abort ${id}`)).toContain("is aborted");
  expect(await done(`upgrade status ${id}`)).toMatch(/^state: +aborted$/m);
  expect(JSON.parse(await done("upgrade status --json"))).toMatchObject([{ id, state: "aborted", waveSize: 2 }]);
  expect((await holdfast(`upgrade abort ${id}`)).err).toContain("NOT_FOUND: there is no running upgrade");
  expect((await holdfast("upgrade status nope")).err).toContain("UPGRADE_UNKNOWN: there is no upgrade nope");
});

it("says nothing secret, whatever it is asked", async () => {
  await shop();
  await done("datasource change orders-db --password-file {}/password");
  await done("token create --all-deployments --out {}/second-operator");
  for (const line of [
    "datasource show orders-db",
    "datasource list --json",
    "token list --all-deployments --json",
    "job show orders",
    "audit list",
  ]) {
    await done(line);
  }
  const text = said.join("\n");
  for (const file of ["operator-token", "second-operator", "password"]) {
    expect(text).not.toContain(readFileSync(join(scratch.path, file), "utf8").trim());
  }
  expect(text).toContain("version 2");
});

it("control-plane 25: rotates a token with an overlap and revokes one at once", async () => {
  await done("deployment create shop");
  const made = JSON.parse(await done("token create --all-deployments --out {}/second --json"));
  const second = { ...environment, HOLDFAST_TOKEN_FILE: join(scratch.path, "second") };

  await done(`token rotate ${made.id} --all-deployments --overlap 1h --out {}/third`);
  await done("deployment list", second);
  const third = { ...environment, HOLDFAST_TOKEN_FILE: join(scratch.path, "third") };
  await done("deployment list", third);

  await done(`token revoke ${made.id} --all-deployments`);
  const refused = await holdfast("deployment list", second);
  expect(refused).toMatchObject({ code: 1, out: "" });
  expect(refused.err).toContain("TOKEN_INVALID: the token is missing, unknown, expired or revoked");
  expect(refused.err).toContain("next: set HOLDFAST_TOKEN_FILE");
  await done("deployment list", third);
});

it("lists all tokens and upgrades, however many parts they come in", async () => {
  await done("deployment create shop");
  await pool.query(
    "insert into tokens (kind, hash) select 'operator', sha256(convert_to(n::text, 'UTF8')) from generate_series(1, 1200) n",
  );
  await pool.query(
    `insert into upgrades (deployment_id, pool, program, version, url, sha256, signature, downgrade, wave_size, soak, deadline, state)
     select id, 'default', 'agent', '2', '', '', '', false, 1, '0', '0', 'done' from deployments, generate_series(1, 1200)`,
  );

  expect(JSON.parse(await done("token list --all-deployments --json"))).toHaveLength(1_201);
  const upgrades = JSON.parse(await done("upgrade status --json"));
  expect(new Set(upgrades.map(({ id }: { id: string }) => id)).size).toBe(1_200);
});

it("names what is wrong, where, and what to do next", async () => {
  expect(await holdfast("job list")).toMatchObject({
    code: 1,
    err: expect.stringMatching(/DEPLOYMENT_MISSING[\s\S]*next: holdfast deployment create <name>/),
  });
  await shop();
  const unknown = JSON.parse((await holdfast("job show nope --json")).out);
  expect(unknown).toEqual({
    error: { code: "JOB_UNKNOWN", message: "there is no job nope; there are orders", next: "holdfast job list" },
  });
  expect((await holdfast("job create x --source nope --sink copy-db --tables t")).err).toContain(
    "there is no datasource nope; there are copy-db, orders-db",
  );
  const credentials =
    "datasource create x --engine postgres --at postgres://u:p@db/shop --user u --password-file {}/password";
  expect((await holdfast(credentials)).err).toContain("INVALID_MESSAGE: url: the URL must not hold credentials");
  expect((await holdfast("datasource create x --engine postgres --at postgres://db/x --user u")).err).toContain(
    "SECRET_MISSING: the datasource's password is missing\n  next: name a file with --password-file (- for standard input)",
  );
  expect((await holdfast("job list", { ...environment, HOLDFAST_URL: "http://127.0.0.1:1" })).err).toMatch(
    /CONTROL_PLANE_UNREACHABLE[\s\S]*where: GET http:\/\/127\.0\.0\.1:1\//,
  );
  expect((await holdfast("job list", { HOLDFAST_URL: "http://u:p@h" })).err).toContain("URL_INVALID");
  await done("deployment create another");
  expect((await holdfast("job list")).err).toContain("there are several: another, shop");
  await done("job list --deployment shop");
});

it("explains each command with examples", async () => {
  for (const group of ["deployment", "datasource", "job", "worker", "upgrade", "token", "audit", "key"]) {
    const { code, out } = await holdfast(`${group} --help`);
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`Examples:\\n  \\$ .*holdfast ${group} `));
  }
});

it("makes the first operator's token once, and anew only when nobody else may operate", async () => {
  const { pool } = await postgres.freshDatabase();
  const file = join(scratch.path, "first");
  expect(await ensureOperator(pool, undefined)).toBe("missing");
  expect(await Promise.all([ensureOperator(pool, file), ensureOperator(pool, file)])).toEqual(
    expect.arrayContaining(["issued", "present"]),
  );
  expect(statSync(file).mode & 0o777).toBe(0o600);
  await pool.query("update tokens set revoked_at = now()");
  expect(await ensureOperator(pool, file)).toBe("issued");
});
