import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { listAudit } from "../../../control-plane/store/audit";
import { createDatasource } from "../../../control-plane/store/catalog";
import { transaction } from "../../../control-plane/store/database";
import { releaseJobs } from "../../../control-plane/store/holder";
import { wishOfJob } from "../../../control-plane/store/jobs";
import { sweep } from "../../../control-plane/store/sweeper";
import { KEYRING, type TestFleet, useFleets } from "./fleet";

const fleets = useFleets();
let fleet: TestFleet;
let sessionId: string;
beforeEach(async () => {
  fleet = await fleets.freshFleet();
  sessionId = await fleet.worker("i-1");
});

/** @returns the slot that the operator is told of */
const wish = async (jobId: string, desired: "pause" | "delete") => {
  const { deploymentId, pool } = fleet;
  return (await transaction(pool, (tx) => wishOfJob(tx, { jobId, desired, deploymentId }, "test"))).leftSlot;
};

/** What the audit log tells of the step that deleted the job. */
async function deletionOf(jobId: string): Promise<unknown> {
  const entries = await listAudit(fleet.pool, fleet.deploymentId);
  const steps = entries.filter(({ subject }) => subject === jobId) as { action: string; detail: { to?: string } }[];
  return steps.find(({ detail }) => detail.to === "deleted");
}

/** Of the job that it is told of, a slot by the job's own name in the fleet's datasource. */
function slotOf(jobId: string, slot = `holdfast_${jobId.replaceAll("-", "")}`) {
  return { slot, source: "orders-db", drop: `select pg_drop_replication_slot('${slot}')` };
}

it("a job that is deleted after a run, while nobody runs it, has its slot named in the audit log", async () => {
  const jobId = await fleet.job("rested");
  const ref = await fleet.run(sessionId);
  await wish(jobId, "pause");
  await fleet.report({ sessionId, ...ref, outcome: "stopped", logTail: [] });

  expect(await wish(jobId, "delete")).toEqual(slotOf(jobId));
  expect(await deletionOf(jobId)).toMatchObject({ action: "job.delete", detail: { leftSlot: slotOf(jobId) } });
});

it("the slots are read once for the log and the operator", async () => {
  const jobId = await fleet.job("rested");
  await releaseJobs(fleet.pool, sessionId, [await fleet.run(sessionId)]);
  const { deploymentId, pool } = fleet;
  const asked: string[] = [];

  await transaction(pool, async (tx) => {
    const query: typeof tx.query = async (statement, values) => {
      asked.push(typeof statement === "string" ? statement : statement.text);
      return await tx.query(statement, values);
    };
    await wishOfJob({ ...tx, query }, { jobId, desired: "delete", deploymentId }, "test");
  });

  expect(asked.filter((sql) => sql.includes("join datasources"))).toHaveLength(1);
});

it("the slot is the one that the job's settings name", async () => {
  const jobId = await fleet.job("named", { options: { SOURCE_SLOT_NAME: "orders_slot" } });
  await releaseJobs(fleet.pool, sessionId, [await fleet.run(sessionId)]);

  expect(await wish(jobId, "delete")).toEqual(slotOf(jobId, "orders_slot"));
});

it("a job that nobody was ever granted has left no slot", async () => {
  const jobId = await fleet.job("new");

  expect(await wish(jobId, "delete")).toBeUndefined();
  expect(await deletionOf(jobId)).not.toMatchObject({ detail: { leftSlot: expect.anything() } });
});

it("a job whose source is not PostgreSQL has left no slot", async () => {
  const source = { name: "shop", engine: "mysql", url: "mysql://db/shop", user: "cdc", password: "p", options: {} };
  const sourceId = await createDatasource(fleet.pool, KEYRING, fleet.deploymentId, source, "test");
  const jobId = await fleet.job("mysql", { sourceId });
  await releaseJobs(fleet.pool, sessionId, [await fleet.run(sessionId)]);

  expect(await wish(jobId, "delete")).toBeUndefined();
});

it("a worker that falls silent, or lets a job go, before it heard of the deletion leaves the slot too", async () => {
  const lost = await fleet.job("lost");
  await fleet.run(sessionId);
  const draining = await fleet.worker("i-2");
  const released = await fleet.job("released");
  const ref = await fleet.run(draining);
  await wish(lost, "delete");
  await wish(released, "delete");
  expect([await deletionOf(lost), await deletionOf(released)]).toEqual([undefined, undefined]);

  await releaseJobs(fleet.pool, draining, [ref]);
  await fleet.expireLease(sessionId);
  await sweep(fleet.pool, { ...DEFAULT_TIMING, serverLeaseMs: 1 });

  expect(await deletionOf(released)).toMatchObject({
    action: "job.release",
    detail: { leftSlot: slotOf(released) },
  });
  expect(await deletionOf(lost)).toMatchObject({ action: "job.lost", detail: { leftSlot: slotOf(lost) } });
});

it("a worker that fails to clean up leaves the slot, one that has cleaned up does not", async () => {
  const [failed, cleaned] = [await fleet.job("failed"), await fleet.job("cleaned")];
  for (const [jobId, end] of [
    [failed, { outcome: "failed", error: "the daemon could not be started: ENOSPC" }],
    [cleaned, { outcome: "stopped", cleaned: true }],
  ] as const) {
    const ref = await fleet.run(sessionId);
    await wish(jobId, "delete");
    await fleet.report({ sessionId, ...ref, ...end, logTail: [] });
  }

  expect(await deletionOf(failed)).toMatchObject({ action: "job.report", detail: { leftSlot: slotOf(failed) } });
  expect(await deletionOf(cleaned)).not.toMatchObject({ detail: { leftSlot: expect.anything() } });
});

it.each(["stopped", "completed"] as const)(
  "a last word, %s, that crossed the order to clean up leaves the slot",
  async (outcome) => {
    const jobId = await fleet.job("crossed");
    const ref = await fleet.run(sessionId);
    await wish(jobId, "delete");

    await fleet.report({ sessionId, ...ref, outcome, logTail: [] });

    expect(await deletionOf(jobId)).toMatchObject({ action: "job.report", detail: { leftSlot: slotOf(jobId) } });
  },
);
