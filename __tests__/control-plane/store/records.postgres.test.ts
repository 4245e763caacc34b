import { randomUUID } from "node:crypto";
import { listAudit, recordAudit } from "../../../control-plane/store/audit";
import { createDatasource, createDeployment, readConnection, rotateKeys } from "../../../control-plane/store/catalog";
import { openDatabase, transaction } from "../../../control-plane/store/database";
import { changeDatasource } from "../../../control-plane/store/datasources";
import { applyToJob } from "../../../control-plane/store/jobs";
import { migrate, migrations } from "../../../control-plane/store/migrate";
import { startPrivateCluster } from "../../../control-plane/store/private-cluster";
import { deletePastAudit } from "../../../control-plane/store/retention";
import { parseKeyring } from "../../../control-plane/store/seal";
import { findTokenHolder, issueToken, revokeToken, rotateToken } from "../../../control-plane/store/tokens";
import { lockWaits } from "../../support/lock-waits";
import { findAuditTampering } from "./audit-tampering";
import { KEYRING, useFleets } from "./fleet";

const fleets = useFleets();
const { freshFleet } = fleets;

describe("migrations", () => {
  it("apply once, however many copies start at the same time", async () => {
    const { pool } = await fleets.postgres.freshDatabase({ migrated: false });

    const applied = await Promise.all([migrate(pool), migrate(pool), migrate(pool)]);

    expect(applied.flat()).toEqual(migrations().map(({ name }) => name));
  });

  it("refuse a migration that was changed after it was applied, and a database from a newer version", async () => {
    const { pool } = await fleets.postgres.freshDatabase();
    const changed = migrations().map(({ name, sql }) => ({ name, sql: `${sql}-- changed` }));

    await expect(migrate(pool, { wanted: changed })).rejects.toThrow(
      "0001-jobs-and-sessions.sql was changed after it was applied",
    );
    await expect(migrate(pool, { wanted: migrations().slice(0, 1) })).rejects.toThrow(
      "which this version does not know",
    );
  });

  it("leave nothing behind when one fails", async () => {
    const { pool } = await fleets.postgres.freshDatabase({ migrated: false });
    const broken = [...migrations(), { name: "9999-broken.sql", sql: "create table half (id int); select nonsense" }];

    await expect(migrate(pool, { wanted: broken })).rejects.toThrow("nonsense");

    const { rows } = await pool.query("select count(*) as tables from pg_tables where schemaname = 'public'");
    expect(rows).toEqual([{ tables: 0 }]);
  });
});

describe("control-plane 25: tokens", () => {
  it("control-plane 25: a token speaks for its scope until it expires or is revoked; only its hash is kept", async () => {
    const fleet = await freshFleet();
    const { id, token } = await issueToken(fleet.pool, { kind: "deployment", deploymentId: fleet.deploymentId });
    const scope = { kind: "deployment", deploymentId: fleet.deploymentId } as const;
    const rotated = await issueToken(fleet.pool, scope);
    const expired = await issueToken(fleet.pool, { ...scope, expiresInMs: 1 });
    await new Promise((resolve) => setTimeout(resolve, 5));

    expect(token).toMatch(/^hfd_[\w-]{43}$/);
    expect(await findTokenHolder(fleet.pool, token)).toMatchObject(scope);
    expect(await findTokenHolder(fleet.pool, expired.token)).toBeNull();
    expect(await findTokenHolder(fleet.pool, `${token}x`)).toBeNull();

    expect(await revokeToken(fleet.pool, id, fleet.deploymentId)).toBe(true);
    expect(await findTokenHolder(fleet.pool, token)).toBeNull();
    expect(await findTokenHolder(fleet.pool, rotated.token)).toMatchObject(scope);
    const { rows } = await fleet.pool.query("select string_agg(t::text, ' ') as everything from tokens t");
    expect(rows[0].everything).not.toContain(token.slice(4));
  });

  it("control-plane 25: a token that is rotated ends with the overlap, no later than without, and its successor lives as long as it was to", async () => {
    const { pool, deploymentId } = await freshFleet();
    const HOUR_MS = 3_600_000;
    const lifeMs = async (id = ""): Promise<number> => {
      const { rows } = await pool.query(
        "select extract(epoch from expires_at - created_at)::float * 1000 as ms from tokens where id = $1",
        [id],
      );
      return rows[0].ms;
    };
    const rotated = async (expiresInMs: number, overlapMs: number) => {
      const { id } = await issueToken(pool, { kind: "deployment", deploymentId, expiresInMs });
      const next = await rotateToken(pool, id, deploymentId, overlapMs);
      return [await lifeMs(id), await lifeMs(next?.id)] as const;
    };

    expect(await rotated(HOUR_MS, 24 * HOUR_MS)).toEqual([HOUR_MS, HOUR_MS]);
    const [old, successor] = await rotated(24 * HOUR_MS, HOUR_MS);
    expect(old).toBeLessThan(2 * HOUR_MS);
    expect(successor).toBe(24 * HOUR_MS);
  });

  it("control-plane 25: a worker's token is not rotated: its worker registers anew", async () => {
    const fleet = await freshFleet();
    const { tokenId } = fleet.beating(await fleet.worker("w"));

    expect(await rotateToken(fleet.pool, tokenId, fleet.deploymentId, 0)).toBeNull();
  });

  it("control-plane 25: a deployment's operator cannot revoke another deployment's token", async () => {
    const fleet = await freshFleet();
    const other = await createDeployment(fleet.pool, "other", "test");
    const { id, token } = await issueToken(fleet.pool, { kind: "deployment", deploymentId: fleet.deploymentId });

    expect(await revokeToken(fleet.pool, id, other)).toBe(false);
    expect(await findTokenHolder(fleet.pool, token)).not.toBeNull();
  });
});

describe("control-plane 26: credentials in the database", () => {
  it("control-plane 26: a password that was changed cannot be put back: it was sealed for the version before", async () => {
    const { pool, deploymentId, datasourceId: id } = await freshFleet();
    const { rows } = await pool.query("select sealed_password from datasources");
    const change = async (to: object) => await changeDatasource(pool, KEYRING, { deploymentId, id }, to, "test");

    expect([await change({ user: "other" }), await change({ password: "canary-next" })]).toEqual([1, 2]);
    expect(await readConnection(pool, KEYRING, id)).toMatchObject({ user: "other", password: "canary-next" });

    await pool.query("update datasources set sealed_password = $1", [rows[0].sealed_password]);
    expect(await readConnection(pool, KEYRING, id)).toEqual(
      new Error("the secret was altered, or sealed for another datasource, version or key"),
    );
  });

  it("control-plane 26: open after every key was rotated", async () => {
    const fleet = await freshFleet();
    const rotated = parseKeyring(`k2:${"22".repeat(32)},k1:${"11".repeat(32)}`);
    await createDatasource(
      fleet.pool,
      rotated,
      fleet.deploymentId,
      { name: "newer", engine: "postgres", url: "postgres://b", user: "u", password: "canary-newer", options: {} },
      "test",
    );
    await fleet.job("orders");
    const worker = await fleet.worker("w");
    const granted = await fleet.run(worker);

    expect(await rotateKeys(fleet.pool, rotated, "operator:o", 1)).toBe(1);
    expect(await rotateKeys(fleet.pool, rotated, "operator:o")).toBe(0);

    const onlyNew = parseKeyring(`k2:${"22".repeat(32)}`);
    const assignment = await fleet.assignment(worker, granted, onlyNew);
    expect(assignment).toMatchObject({ spec: { sink: { password: "canary-password" } } });
  });
});

it("control-plane 27: wraps no password without the entry that says so, portion by portion", async () => {
  const fleet = await freshFleet();
  const datasource = { engine: "postgres", url: "postgres://b", user: "u", password: "canary-other", options: {} };
  for (const name of ["second", "third"]) {
    await createDatasource(fleet.pool, KEYRING, fleet.deploymentId, { ...datasource, name }, "test");
  }
  const both = parseKeyring(`k2:${"22".repeat(32)},k1:${"11".repeat(32)}`);
  const withNewKey = async () =>
    (await fleet.pool.query("select 1 from datasources where split_part(sealed_password, '.', 2) = 'k2'")).rows.length;
  await fleet.pool.query(
    `create function no_second_entry() returns trigger language plpgsql as $$ begin
       if (select count(*) from audit_log where action = 'keys.rotate') > 1 then raise exception 'the log is full'; end if;
       return null;
     end $$;
     create trigger no_second_entry after insert on audit_log for each row execute function no_second_entry()`,
  );

  await expect(rotateKeys(fleet.pool, both, "operator:o", 1)).rejects.toThrow("the log is full");
  expect(await withNewKey()).toBe(1);

  await fleet.pool.query("drop trigger no_second_entry on audit_log");
  expect(await rotateKeys(fleet.pool, both, "operator:o", 2)).toBe(2);
  expect(await withNewKey()).toBe(3);
  const entries = await listAudit(fleet.pool, null);
  expect(entries.map(({ actor, action, detail }) => [actor, action, detail])).toEqual(
    [
      { key: "k2", wrapped: 1, complete: false },
      { key: "k2", wrapped: 1, complete: false },
      { key: "k2", wrapped: 1, complete: true },
    ].map((detail) => ["operator:o", "keys.rotate", detail]),
  );
});

describe("control-plane 27: the audit log", () => {
  it("control-plane 27: holds one entry per call and transition, of the same transaction", async () => {
    const fleet = await freshFleet();
    const jobId = await fleet.job("orders");
    await fleet.run(await fleet.worker("w"));
    const entry = { deploymentId: fleet.deploymentId, actor: "test", action: "undone", subject: "x" };
    const failing = transaction(fleet.pool, async (tx) => {
      recordAudit(tx, entry);
      throw new Error("rolled back");
    });
    await expect(failing).rejects.toThrow("rolled back");
    // Nothing waits for the entry: that it cannot be written is found out with the commit.
    const unwritten = transaction(fleet.pool, async (tx) => {
      recordAudit(tx, { ...entry, deploymentId: "none" });
      await applyToJob(tx, jobId, { type: "stop" }, "test").catch(() => undefined);
    });
    await expect(unwritten).rejects.toThrow("invalid input syntax for type uuid");
    expect(await fleet.row(jobId)).toMatchObject({ desired: "run" });

    const { rows } = await fleet.pool.query("select seq, action from audit_log order by seq");
    expect(rows.map(({ action }) => action)).toEqual([
      "deployment.create",
      "datasource.create",
      "job.create",
      "session.register",
      "session.open",
      "job.claim",
      "job.started",
    ]);
    expect(rows.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(await findAuditTampering(fleet.pool, fleet.deploymentId)).toBeNull();
  });

  it.each([
    ["changed", "update audit_log set actor = 'nobody' where seq = 3", 3],
    ["removed", "delete from audit_log where seq = 2", 2],
    ["cut off at the end", "delete from audit_log where seq = 3", 3],
    [
      "put in",
      "insert into audit_log select deployment_id, 4, at, actor, action, subject, detail, hash from audit_log where seq = 3",
      4,
    ],
  ])(
    "control-plane 27: shows an entry that was %s behind its back, and refuses it otherwise",
    async (_, tampering, seq) => {
      const fleet = await freshFleet();
      await fleet.job("orders");
      if (!tampering.startsWith("insert")) {
        await expect(fleet.pool.query(tampering)).rejects.toThrow("only ever added to");
      }

      await fleet.pool.query("alter table audit_log disable trigger user");
      await fleet.pool.query(tampering);

      expect(await findAuditTampering(fleet.pool, fleet.deploymentId)).toBe(seq);
    },
  );

  it("control-plane 21: ends with its oldest entries, of which none is young, and shows tampering with the rest", async () => {
    const { pool: db } = await fleets.postgres.freshDatabase();
    const deploymentId = randomUUID();
    const entries = async () => (await listAudit(db, deploymentId)).map(({ seq }) => seq);
    for (const age of [400, 399, 120, 119, 60, 200, 1]) {
      await db.query(
        `insert into audit_log (deployment_id, seq, at, actor, action, subject, hash)
         values ($1, 0, now() - make_interval(days => $2), 'test', 'aged', 'x', '')`,
        [deploymentId, age],
      );
    }

    expect(await deletePastAudit(db, 500)).toBe(0);
    expect(await deletePastAudit(db, 365)).toBe(2);
    expect(await deletePastAudit(db, 100, 1)).toBe(2);
    expect(await entries()).toEqual([5, 6, 7]);
    expect(await findAuditTampering(db, deploymentId)).toBeNull();
    await expect(deletePastAudit(db, 30)).rejects.toThrow("only ever added to");
    expect(await entries()).toEqual([5, 6, 7]);

    await db.query("delete from audit_log where deployment_id = $1 and seq = 6", [deploymentId]);
    expect(await findAuditTampering(db, deploymentId)).toBe(6);
  });

  it("control-plane 27: keeps a chain for each deployment and one for all of them, whatever a transaction adds", async () => {
    const { pool: db } = await fleets.postgres.freshDatabase();
    const [one, other] = [randomUUID(), randomUUID()];
    const entry = (deploymentId: string | null, subject: string) => ({
      deploymentId,
      actor: "a",
      action: "b",
      subject,
    });
    for (const round of ["first", "second"]) {
      await transaction(db, async (tx) => {
        const chains = [one, other, null, one, null, one];
        recordAudit(tx, ...chains.map((chain, index) => entry(chain, `${round} ${index}`)));
      });
    }

    const subjects = async (chain: string | null) => (await listAudit(db, chain)).map(({ subject }) => subject);
    expect(await subjects(one)).toEqual(["first 0", "first 3", "first 5", "second 0", "second 3", "second 5"]);
    expect(await subjects(other)).toEqual(["first 1", "second 1"]);
    expect(await subjects(null)).toEqual(["first 2", "first 4", "second 2", "second 4"]);
    for (const chain of [one, other, null]) expect(await findAuditTampering(db, chain)).toBeNull();
  });

  it("control-plane 27: is locked chain by chain in one order, so that no two transactions wait for each other", async () => {
    const { pool: db } = await fleets.postgres.freshDatabase();
    const [first, last] = [randomUUID(), randomUUID()].sort() as [string, string];
    const add = async (...chains: readonly string[]) =>
      await transaction(db, async (tx) => {
        recordAudit(tx, ...chains.map((deploymentId) => ({ deploymentId, actor: "a", action: "b", subject: "c" })));
      });
    await add(first, last);
    const other = await db.connect();
    const lock = "select 1 from audit_heads where deployment_id = $1 for update nowait";
    await other.query("begin; set local idle_in_transaction_session_timeout = 0");
    await other.query(lock, [first]);
    const added = add(last, first);
    await lockWaits(db);

    const isFree = await other.query(lock, [last]).then(
      () => true,
      () => false,
    );
    await other.query("rollback");
    other.release();
    await added;

    expect(isFree).toBe(true);
  });

  it("control-plane 27: stays whole when many write at once", async () => {
    const fleet = await freshFleet();
    await Promise.all(Array.from({ length: 20 }, (_, index) => fleet.job(`job-${index}`)));

    expect(await findAuditTampering(fleet.pool, fleet.deploymentId)).toBeNull();
  });
});

describe("the private cluster", () => {
  it("control-plane 23: refuses a second server on its directory and names the one that runs; needs its password", async () => {
    const { rows } = await openAnd("show data_directory");
    const directory = String(rows[0].data_directory).replace(/\/data$/, "");

    await expect(startPrivateCluster({ directory })).rejects.toThrow(/process \d+ runs PostgreSQL on/);
    const wrong = openDatabase(fleets.postgres.cluster.url.replace(/:[^:@]+@/, ":wrong@"), 1);
    await expect(wrong.query("select 1")).rejects.toThrow("password authentication failed");
    await wrong.end();
  });

  async function openAnd(sql: string) {
    const pool = openDatabase(fleets.postgres.cluster.url, 1);
    try {
      return await pool.query(sql);
    } finally {
      await pool.end();
    }
  }
});
