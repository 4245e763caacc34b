import { randomUUID } from "node:crypto";
import { CatalogConflict, createDatasource } from "../../../control-plane/store/catalog";
import { deleteDatasource } from "../../../control-plane/store/datasources";
import { issueToken, revokeToken } from "../../../control-plane/store/tokens";
import { lockWaits } from "../../support/lock-waits";
import { findAuditTampering } from "./audit-tampering";
import { KEYRING, TestFleet, useFleets } from "./fleet";

const { freshFleet } = useFleets();

const said = (results: readonly PromiseSettledResult<string>[]): string[] =>
  results.map((result) => (result.status === "fulfilled" ? "made" : String(result.reason.message)));

test("what stands in one job's way stands in no other's, though they were asked for at once", async () => {
  const fleet = await freshFleet();
  const foreign = (await TestFleet.create(fleet.pool, "elsewhere")).datasourceId;
  const unknown = randomUUID();
  await fleet.job("taken");

  const results = await Promise.allSettled([
    fleet.job("first"),
    fleet.job("taken"),
    fleet.job("astray", { sinkId: unknown }),
    fleet.job("abroad", { sourceId: foreign }),
    fleet.job("twice"),
    fleet.job("twice"),
    fleet.job("last"),
  ]);

  expect(said(results)).toEqual([
    "made",
    "there is a job named taken",
    `there is no datasource ${unknown} in the deployment`,
    `there is no datasource ${foreign} in the deployment`,
    "made",
    "there is a job named twice",
    "made",
  ]);
  const { rows } = await fleet.pool.query(
    "select name, state, pending_since is not null as waits from jobs order by name",
  );
  expect(rows).toEqual(["first", "last", "taken", "twice"].map((name) => ({ name, state: "pending", waits: true })));
  const told = await fleet.pool.query(
    "select array_agg(action order by seq) as actions from audit_log where subject = any($1)",
    [results.flatMap((result) => (result.status === "fulfilled" ? result.value : [])).slice(0, 1)],
  );
  expect(told.rows[0].actions).toEqual(["job.create"]);
  expect(await findAuditTampering(fleet.pool, fleet.deploymentId)).toBeNull();
});

test("a creation that is repeated because its answer was lost gives the job it made, and makes no other", async () => {
  const fleet = await freshFleet();
  const { deploymentId, tokenId } = fleet;
  const job = fleet.described("orders");
  const create = async (id: string) =>
    await fleet.writes.create({ id, deploymentId, tokenId, job, run: true, actor: "test" });
  const [first, other] = [randomUUID(), randomUUID()];
  const told = async () => (await fleet.pool.query("select action from audit_log where subject = $1", [first])).rows;

  expect(await create(first)).toBe("waiting");
  const before = await told();
  expect(await create(first)).toBe("waiting");
  expect([before.length, await told()]).toEqual([1, before]);
  await expect(create(other)).rejects.toEqual(new CatalogConflict("there is a job named orders"));
});

test("control-plane 25: a token that was revoked makes no job, and no other creation of the group is kept waiting", async () => {
  const fleet = await freshFleet();
  const { deploymentId } = fleet;
  const create = async (name: string, tokenId: string) =>
    await fleet.writes.create({
      id: randomUUID(),
      deploymentId,
      tokenId,
      job: fleet.described(name),
      run: true,
      actor: "test",
    });
  const revoked = await issueToken(fleet.pool, { kind: "operator", deploymentId });
  await revokeToken(fleet.pool, revoked.id, deploymentId);
  const expired = await issueToken(fleet.pool, { kind: "operator", deploymentId, expiresInMs: -1 });

  const results = await Promise.all([create("a", revoked.id), create("b", fleet.tokenId), create("c", expired.id)]);

  expect(results).toEqual(["refused", "waiting", "refused"]);
  const { rows } = await fleet.pool.query(
    "select name from jobs union all select name from ready_jobs join jobs on id = job_id",
  );
  expect(rows).toEqual([{ name: "b" }, { name: "b" }]);
});

test("control-plane 14: a claim that comes with a job's creation gets it in the same transaction", async () => {
  const fleet = await freshFleet();
  const worker = await fleet.worker("w");

  const [made, granted] = await Promise.all([fleet.create("orders"), fleet.claim(worker)]);

  expect(made.isGranted).toBe(true);
  expect(granted).toEqual([{ jobId: made.id, fence: 1 }]);
  expect(await fleet.row(made.id)).toMatchObject({
    state: "starting",
    session_id: worker,
    fence: 1,
    pending_since: null,
  });
  const { rows } = await fleet.pool.query(
    "select action, detail->>'from' as from, detail->>'to' as to, xmin::text from audit_log where subject = $1 order by seq",
    [made.id],
  );
  expect(rows.map(({ action, from, to }) => [action, from, to])).toEqual([
    ["job.create", null, "pending"],
    ["job.claim", "pending", "starting"],
  ]);
  expect(new Set(rows.map(({ xmin }) => xmin)).size).toBe(1);
  expect((await fleet.pool.query("select 1 from ready_jobs")).rows).toEqual([]);

  const [atRest, nothing] = await Promise.all([fleet.create("resting", { run: false }), fleet.claim(worker)]);
  expect([atRest.isGranted, nothing]).toEqual([false, []]);
  expect(await fleet.row(atRest.id)).toMatchObject({ state: "created", pending_since: null });
});

test("copies that are asked for the same jobs in other orders make each of them once", async () => {
  const fleet = await freshFleet();
  const copies = [fleet, fleet.another()];
  const names = Array.from({ length: 150 }, (_, index) => `job-${index}`);

  const asked = copies.flatMap((copy, index) => (index ? [...names].reverse() : names).map((name) => copy.job(name)));
  const results = said(await Promise.allSettled(asked));

  expect(results.filter((result) => result === "made").length).toBe(names.length);
  expect(new Set(results).size).toBe(1 + names.length);
  const { rows } = await fleet.pool.query("select count(*)::int, count(distinct name)::int as names from jobs");
  expect(rows).toEqual([{ count: names.length, names: names.length }]);
});

test("a name that another copy takes after it was looked for is in the way as one that was taken before", async () => {
  const fleet = await freshFleet();
  const other = await fleet.pool.connect();
  const sides = [fleet.deploymentId, fleet.datasourceId];
  await other.query("begin");
  await other.query(
    "insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool) values ($1, 'orders', $2, $2, '{t}', false, 'default')",
    sides,
  );

  const creation = expect(fleet.job("orders")).rejects.toEqual(new CatalogConflict("there is a job named orders"));
  await lockWaits(fleet.pool, 1, "%insert into jobs%");
  await other.query("commit");
  other.release();
  await creation;
});

test("a datasource is not deleted under a job that comes to be, nor does a job come to be on one that is deleted", async () => {
  const fleet = await freshFleet();
  for (let round = 0; round < 20; round++) {
    const connection = { engine: "postgres", url: "postgres://db/shop", user: "u", password: "p", options: {} };
    const named = { name: `db-${round}`, ...connection };
    const id = await createDatasource(fleet.pool, KEYRING, fleet.deploymentId, named, "test");

    const [job, deletion] = await Promise.allSettled([
      fleet.job(`job-${round}`, { sinkId: id }),
      deleteDatasource(fleet.pool, { deploymentId: fleet.deploymentId, id }, "test"),
    ]);

    expect([job.status, deletion.status].sort()).toEqual(["fulfilled", "rejected"]);
  }
});
