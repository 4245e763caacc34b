import { Client } from "pg";
import { COPIED_TABLES, copyStore } from "../../../control-plane/store/copy-store";
import { type Operator, startCopy, TestWorker } from "../api/clients";
import { useControlPlane } from "../api/use-control-plane";

const plane = useControlPlane();

/** The control plane stops. @returns the address of another store, empty but for what is done to it */
async function emptyStore(preparation = "select 1"): Promise<string> {
  await plane.copies[0]?.controlPlane.stop();
  await plane.pool.end();
  const { pool, url } = await plane.postgres.freshDatabase();
  await pool.query(preparation);
  await pool.end();
  return url;
}

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new Client(url);
  await client.connect();
  const { rows } = await client.query(sql);
  await client.end();
  return rows;
}

it("control-plane 24: a store moves to another PostgreSQL with equal rows, and the job that runs meanwhile stays with its worker", async () => {
  // GIVEN a running job, one that waits, a datasource with a sealed password, an audit log
  const jobId = await plane.operator.createJob("orders");
  const worker = await plane.worker("i-1").open();
  const [grant] = (await worker.claim()).grants;
  const ref = { jobId, fence: grant?.fence ?? 0 };
  await worker.ask("started", ref);
  await worker.ask("progress", {
    ...ref,
    checkpoint: { seq: 9_007_199_254_740_991, phase: "streaming", position: "0/7" },
  });
  await plane.operator.createJob("waiting", { labels: { zone: "a" }, options: { quote: "'\"\\ ü" } });
  const { pool, url } = await plane.postgres.freshDatabase({ migrated: false });
  await expect(copyStore(plane.databaseUrl, url)).rejects.toThrow("a copy of the control plane is connected");
  await plane.copies[0]?.controlPlane.stop();
  await plane.pool.end();

  const copied = await copyStore(plane.databaseUrl, url);

  expect(copied.map(({ table, rows }) => [table, rows])).toEqual(
    expect.arrayContaining([
      ["jobs", 2],
      ["sessions", 1],
      ["ready_jobs", 1],
    ]),
  );
  await pool.end();
  await expect(copyStore(plane.databaseUrl, url)).rejects.toThrow("the target holds deployment shop");

  // WHEN the control plane comes up on the new store
  const { controlPlane } = await startCopy(url);
  try {
    const moved = Object.assign(Object.create(worker), { url: controlPlane.url }) as typeof worker;
    const beat = await moved.beat({ running: [{ ...ref, status: "running", phase: "streaming" }] });
    // THEN the worker's token, its lease and its job are what they were
    expect(beat.actions).toEqual([]);
    expect(
      await moved.ask("progress", { ...ref, checkpoint: { seq: 1, phase: "streaming", position: "0/1" } }),
    ).toEqual({
      seq: 9_007_199_254_740_991,
    });
    expect(await moved.send("claim", { claimId: crypto.randomUUID(), freeSlots: 1, waitMs: 0 })).toMatchObject({
      status: 200,
    });
  } finally {
    await controlPlane.stop();
  }
});

it("changes nothing where the database to copy from holds no store", async () => {
  const [{ pool, url: from }, { url: to }] = [
    await plane.postgres.freshDatabase({ migrated: false }),
    await plane.postgres.freshDatabase({ migrated: false }),
  ];

  await expect(copyStore(from, to)).rejects.toThrow(/^database \w+ holds no control plane's store$/);

  const { rows } = await pool.query("select from pg_tables where schemaname = 'public'");
  expect(rows).toEqual([]);
  await pool.end();
});

it("control-plane 24: in the new store a worker's next session takes over its job, and new jobs are given out", async () => {
  const jobId = await plane.operator.createJob("orders");
  const worker = await plane.worker("i-1").open();
  await worker.claim();
  await worker.ask("started", { jobId, fence: 1 });
  const url = await emptyStore();
  await copyStore(plane.databaseUrl, url);
  const { controlPlane } = await startCopy(url);
  try {
    const running = [{ jobId, fence: 1, status: "running", phase: "streaming" } as const];
    const next = await new TestWorker(controlPlane.url, plane.operator.deploymentToken, "i-1").open(running);
    expect((await next.beat({ running })).actions).toEqual([]);

    const operator = Object.assign(Object.create(plane.operator), { url: controlPlane.url }) as Operator;
    const fresh = await operator.createJob("fresh");
    expect((await next.claim()).grants).toMatchObject([{ jobId: fresh, fence: 1 }]);
  } finally {
    await controlPlane.stop();
  }
});

it("control-plane 12: in the new store no lease is judged before a whole one has passed, however long it has been there", async () => {
  const url = await emptyStore("update pulse set up_since = now() - interval '1 day'");

  await copyStore(plane.databaseUrl, url);

  expect(await ask(url, "select now() - up_since < interval '1 minute' as fresh from pulse")).toEqual([
    { fresh: true },
  ]);
});

it("control-plane 24: what did not arrive as it was is not kept, nor is anything put in where a control plane runs", async () => {
  const url = await emptyStore("create rule forget as on insert to audit_log do instead nothing");
  await expect(copyStore(plane.databaseUrl, url)).rejects.toThrow(/^table audit_log differs .*: \d+ rows became 0$/);
  expect(await ask(url, "select 1 from deployments")).toEqual([]);

  const { controlPlane } = await startCopy(url);
  await expect(copyStore(plane.databaseUrl, url)).rejects.toThrow("connected to the store to be copied into");
  await controlPlane.stop();
});

it("sees a control plane that runs whatever name an address gives it, and is none itself", async () => {
  const { url } = await plane.postgres.freshDatabase({ migrated: false });
  const named = (address: string, name: string) => {
    const other = new URL(address);
    other.searchParams.set("application_name", name);
    return other.href;
  };
  await plane.copies[0]?.controlPlane.stop();
  await plane.pool.end();
  const { controlPlane } = await startCopy(named(url, "shop"));

  await expect(copyStore(plane.databaseUrl, url)).rejects.toThrow("is connected to the store to be copied into");
  await controlPlane.stop();
  const copied = await copyStore(named(plane.databaseUrl, "holdfast-1"), named(url, "holdfast-1"));

  expect(copied.find(({ table }) => table === "deployments")).toMatchObject({ rows: 1 });
});

it("control-plane 24: whatever table there is, is copied or counts its own time", async () => {
  const { rows } = await plane.pool.query("select tablename as name from pg_tables where schemaname = 'public'");

  const own = ["duties", "pulse", "schema_migrations"];
  expect(rows.map(({ name }) => name).sort()).toEqual([...COPIED_TABLES, ...own].sort());
});
