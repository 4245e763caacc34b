import { randomUUID } from "node:crypto";
import type { Checkpoint } from "../../../control-plane/protocol/messages";
import { saveCheckpoint } from "../../../control-plane/store/holder";
import { type TestFleet, useFleets } from "./fleet";

const fleets = useFleets();
let fleet: TestFleet;
beforeEach(async () => {
  fleet = await fleets.freshFleet();
});

describe("retries", () => {
  /** A run that fails at once. @returns how many seconds its job waits then */
  const fail = async (worker: string, jobId: string, checkpoint?: Checkpoint): Promise<number> => {
    await fleet.pool.query("update jobs set not_before = now() where id = $1", [jobId]);
    const ref = await fleet.run(worker);
    const end = {
      outcome: "failed" as const,
      error: "no route to host",
      logTail: ["x"],
      ...(checkpoint && { checkpoint }),
    };
    await fleet.report({ sessionId: worker, ...ref, ...end });
    const { rows } = await fleet.pool.query(
      "select extract(epoch from not_before - now())::float as wait from jobs where id = $1",
      [jobId],
    );
    expect(await fleet.claim(worker, 1, randomUUID())).toEqual([]);
    return rows[0].wait;
  };

  it("waits longer after each failure and gives up after the last retry", async () => {
    const jobId = await fleet.job("failing", { maxRetries: 2 });
    const worker = await fleet.worker("w");

    const waits = [await fail(worker, jobId), await fail(worker, jobId), await fail(worker, jobId)];

    expect(waits[0]).toBeGreaterThan(0.2);
    expect(waits[1]).toBeGreaterThan(0.7);
    expect(await fleet.row(jobId)).toMatchObject({ state: "failed", failures: 3, last_error: "no route to host" });
  });

  it("waits also after a failure that comes with progress, from which the failures are counted anew", async () => {
    const jobId = await fleet.job("stumbling");
    const worker = await fleet.worker("w");
    await fail(worker, jobId);
    await fail(worker, jobId);

    const wait = await fail(worker, jobId, { seq: 7, phase: "streaming", position: "0/7" });

    expect(wait).toBeGreaterThan(0.2);
    expect(await fleet.row(jobId)).toMatchObject({ state: "pending", failures: 1 });
  });

  it("counts on where a worker repeats the checkpoint that it began with", async () => {
    const checkpoint = { seq: 7, phase: "streaming", position: "0/7" } as const;
    const jobId = await fleet.job("stuck");
    const worker = await fleet.worker("w");
    await fail(worker, jobId, checkpoint);
    await fleet.pool.query("update jobs set not_before = now() where id = $1", [jobId]);
    const ref = await fleet.run(worker);

    expect(await saveCheckpoint(fleet.pool, worker, ref, checkpoint)).toBe(7);
    expect(await fleet.row(jobId)).toMatchObject({ failures: 1 });
    await fleet.report({ sessionId: worker, ...ref, outcome: "failed", logTail: [], checkpoint });
    expect(await fleet.row(jobId)).toMatchObject({ failures: 2 });
  });
});
