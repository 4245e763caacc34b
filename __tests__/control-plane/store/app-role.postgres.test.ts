import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Pool } from "pg";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { grantTo } from "../../../control-plane/store/app-role";
import { readBacklog } from "../../../control-plane/store/backlog";
import { openDatabase } from "../../../control-plane/store/database";
import { takeDuty } from "../../../control-plane/store/duties";
import { migrate, migrations } from "../../../control-plane/store/migrate";
import { deletePast, deletePastAudit } from "../../../control-plane/store/retention";
import { pulse, sweep } from "../../../control-plane/store/sweeper";
import { advanceUpgrades, createUpgrade } from "../../../control-plane/store/upgrades";
import { closeVanished } from "../../../control-plane/store/vanished";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { startCopy } from "../api/clients";
import { findAuditTampering } from "./audit-tampering";
import { TestFleet } from "./fleet";

const QUICK = { ...DEFAULT_TIMING, serverLeaseMs: 1 };

/** Since PostgreSQL 15 nobody but a database's owner makes tables in its schema `public`. */
const ROLES = `
  create role shop_owner login createrole password 'o';
  create role "shop-app" login password 'a';
  revoke create on schema public from public;`;

let postgres: TestPostgres;
let owner: Pool;
let app: Pool;
let appUrl: string;
beforeAll(async () => {
  postgres = await startTestPostgres();
  const { pool, url } = await postgres.freshDatabase({ migrated: false });
  const as = (user: string, password: string) => Object.assign(new URL(url), { username: user, password }).href;
  await pool.query(ROLES);
  await pool.query(`alter database ${new URL(url).pathname.slice(1)} owner to shop_owner`);
  owner = openDatabase(as("shop_owner", "o"), 2);
  appUrl = as("shop-app", "a");
  app = openDatabase(appUrl, 2);
}, 120_000);
afterAll(async () => {
  await owner.end();
  await app.end();
  await postgres.stop();
}, 60_000);

const NEXT = "run npm run migrate -- --grant-to ROLE";

it("a role that owns nothing is told what to do where migrations are missing, or its rights", async () => {
  await expect(startCopy(appUrl)).rejects.toThrow(NEXT);

  await migrate(owner);
  await expect(startCopy(appUrl)).rejects.toThrow(NEXT);

  await grantTo(owner, "shop-app");
  const newer = [...migrations(), { name: "9999-newer.sql", sql: "create table newer (id int)" }];
  await expect(migrate(app, { wanted: newer })).rejects.toThrow(NEXT);
  await expect(migrate(app)).resolves.toEqual([]);
});

it("npm run migrate applies what is missing and grants what the documentation says", async () => {
  const { url } = await postgres.freshDatabase({ migrated: false });
  await owner.query("create role holdfast_app");
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", "control-plane/migrate.ts", "--grant-to", "holdfast_app"],
    { encoding: "utf8", env: { ...process.env, DATABASE_URL: url } },
  );

  expect([status, stderr]).toEqual([0, ""]);
  const lines = stdout.trim().split("\n");
  expect(lines.slice(0, -4)).toEqual(migrations().map(({ name }) => `applied ${name}`));
  const words = (text: string) => text.replaceAll('"', "").replace(/\s+/g, " ");
  const documented = words(readFileSync("docs/control-plane.md", "utf8"));
  for (const grant of lines.slice(-4)) expect(documented).toContain(words(grant));
});

it("control-plane 27: what a copy does by itself needs no more than was granted", async () => {
  await migrate(owner);
  await grantTo(owner, "shop-app");
  const fleet = await TestFleet.create(app);
  const { controlPlane, logs } = await startCopy(appUrl);
  await controlPlane.stop();
  expect(logs.filter((line) => /permission denied|must be owner/.test(line))).toEqual([]);

  const sessionId = await fleet.worker("i-1", { features: ["upgrade"] });
  const upgrade = { pool: "default", program: "agent", version: "2.0.0", url: "https://x", sha256: "s" } as const;
  const { asked } = await createUpgrade(
    app,
    fleet.deploymentId,
    { ...upgrade, signature: "s", downgrade: false, waveSize: 1, soakMs: 0, deadlineMs: 1 },
    "test",
  );
  expect([asked, await advanceUpgrades(app, QUICK)]).toEqual([[sessionId], []]);
  expect(await readBacklog(app)).toMatchObject([{ deployment: "shop", pool: "default" }]);
  expect(await takeDuty(app, "role", 60)).toBe(true);
  await fleet.job("orders");
  await fleet.run(sessionId);
  await fleet.expireLease(sessionId);
  await pulse(app, QUICK);
  await owner.query("update pulse set up_since = now() - interval '1 hour'");
  expect(await sweep(app, QUICK)).toBe(1);
  await owner.query("update leases set expires_at = now() - interval '2 days'");
  expect(await closeVanished(app, QUICK)).toBe(1);
  await owner.query("update sessions set closed_at = now() - interval '2 days'");
  expect(await deletePast(app, 1)).toBe(1);
  expect(await findAuditTampering(app, fleet.deploymentId)).toBeNull();
});

it("control-plane 21, 27: what is older than 90 days ends also where the role owns nothing, and nothing younger", async () => {
  const chain = "00000000-0000-4000-8000-000000000001";
  for (const age of [400, 100, 1]) {
    await owner.query(
      `insert into audit_log (deployment_id, seq, at, actor, action, subject, hash)
       values ($1, 0, now() - make_interval(days => $2), 'test', 'aged', 'x', '')`,
      [chain, age],
    );
  }

  expect(await deletePastAudit(app, 365)).toBe(1);
  await expect(deletePastAudit(app, 0)).rejects.toThrow("only ever added to");
  expect(await findAuditTampering(app, chain)).toBeNull();
});

it.each([
  "update audit_log set actor = 'nobody'",
  "delete from audit_log",
  "delete from audit_log where at < now() - interval '90 days'",
  "truncate audit_log",
  "insert into audit_log (deployment_id, seq, actor, action, subject, hash) values (gen_random_uuid(), 1, 'a', 'b', 'c', '')",
  "update audit_heads set seq = 0, hash = ''",
  "delete from audit_heads",
  "truncate audit_heads",
  "alter table audit_log disable trigger user",
  "drop trigger refuse_audit_change on audit_log",
  "drop table audit_log",
  "create or replace function audit_hash(previous bytea, entry audit_log) returns bytea stable language sql as $$ select ''::bytea $$",
  "create or replace function refuse_audit_change() returns trigger language plpgsql as $$ begin return new; end $$",
  "set session_replication_role = replica",
  "delete from schema_migrations",
])("control-plane 27: the role that runs the control plane may not: %s", async (statement) => {
  await expect(app.query(statement)).rejects.toMatchObject({ code: "42501" });
});

it("control-plane 27: a temporary table of the role's does not stand for the log", async () => {
  const client = await app.connect();
  try {
    await client.query("create temporary table audit_heads (like audit_heads)");
    await client.query("create temporary table audit_log (like audit_log)");
    await client.query(`select public.add_audit_entries(array(
      select ('00000000-0000-4000-8000-000000000002', 0, now(), 'a', 'b', 'c', '{}', '')::public.audit_log))`);
    const { rows } = await client.query("select count(*)::int as entries from pg_temp.audit_log");
    expect(rows).toEqual([{ entries: 0 }]);
  } finally {
    client.release(true);
  }
});

it("control-plane 27: nobody else of the database adds entries or deletes any", async () => {
  const { rows } = await owner.query(
    `select proname, has_function_privilege('public', oid, 'execute') as everybody,
       has_function_privilege('shop-app', oid, 'execute') as app
     from pg_proc where prosecdef and pronamespace = 'public'::regnamespace order by 1`,
  );
  expect(rows).toEqual([
    { proname: "add_audit_entries", everybody: false, app: true },
    { proname: "delete_past_audit_entries", everybody: false, app: true },
  ]);
});

it("control-plane 27: whatever table there is, the role writes it, or reads it alone", async () => {
  const { rows } = await owner.query(
    `select c.relname as name, array(
         select lower(privilege_type) from aclexplode(c.relacl) where grantee = '"shop-app"'::regrole order by 1) as rights
     from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace`,
  );
  const readOnly = rows.filter(({ rights }) => rights.join() === "select").map(({ name }) => name);
  const written = rows.filter(({ rights }) => rights.join() === "delete,insert,select,update");
  expect(readOnly.sort()).toEqual(["audit_heads", "audit_log", "schema_migrations"]);
  expect(written.length + readOnly.length).toBe(rows.length);
});
