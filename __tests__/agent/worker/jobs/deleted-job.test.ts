import { type JobPorts, SupervisedJob } from "../../../../agent/worker/jobs/job";
import type { DbmazzFaults } from "../../../support/fake-dbmazz";
import { eventually } from "../../daemon/eventually";
import { grantOf, useWorkers } from "./supervised";

jest.setTimeout(120_000);

const worker = useWorkers();

describe("a job that is deleted", () => {
  const CLEANUP = { mode: "cleanup", cause: "order" } as const;
  const DRAIN = { mode: "quiesce", cause: "drain", deadlineAt: 6_000 } as const;
  async function streamingJob(faults: DbmazzFaults = {}, options = { FLUSH_INTERVAL_MS: "50" }) {
    const parts = worker({ daemon: { kind: "reference", version: "0.1.0" } });
    const { host, jobs, source, idle, streaming } = parts;
    host.faults = () => faults;
    const grant = grantOf({ spec: { options } });
    jobs.start(grant, 0);
    await streaming();
    const [daemon] = host.daemons;
    if (!daemon) throw new Error("no daemon");
    const report = async () => {
      await idle();
      return source.of("report")[0]?.report;
    };
    const asked = (what: string) =>
      eventually(`${what} is asked`, async () => expect(host.requests.map(({ path }) => path)).toContain(what));
    return { ...parts, grant, daemon, report, asked, slot: daemon.launch.record.slotName };
  }
  const left = (slot: string) => ({
    outcome: "failed",
    error: expect.stringContaining(`replication slot ${slot} may be left in the source`),
  });

  test("has stopped when its daemon took the stop and ended well", async () => {
    const { jobs, grant, daemon, report } = await streamingJob();
    jobs.stop(grant, CLEANUP);
    expect(await report()).toMatchObject({ outcome: "stopped", exitCode: 0, cleaned: true });
    expect(await report()).not.toHaveProperty("error");
    expect(daemon.slotDropped).toBe(true);
  });

  test("says nothing of a cleanup when it was told to come to rest first, and has ended before it heard of the deletion", async () => {
    const { jobs, grant, daemon, report } = await streamingJob();
    jobs.stop(grant, { mode: "quiesce", cause: "order" });
    expect(await report()).toMatchObject({ outcome: "stopped" });
    expect(await report()).not.toHaveProperty("cleaned");
    expect(daemon.slotDropped).toBe(false);
  });

  test("leaves its slot, and says so, when its daemon had to be ended by signals", async () => {
    const { jobs, grant, report, slot } = await streamingJob({ ignoresStop: true });
    jobs.stop(grant, { ...CLEANUP, deadlineAt: performance.now() + 6_000 });
    expect(await report()).toMatchObject(left(slot));
    expect(jobs.failures).toBe(0);
  });

  test("leaves its slot, and says so, when its daemon could not drop it", async () => {
    const { jobs, grant, daemon, report, asked, slot } = await streamingJob({ ignoresStop: true });
    jobs.stop(grant, CLEANUP);
    await asked("POST cdc/stop");
    await daemon.end({ status: 78, signal: null });
    expect(await report()).toMatchObject({ ...left(slot), exitCode: 78 });
  });

  test("may have left its slot, and says so, when its daemon took the stop and nobody saw how it ended", async () => {
    const { jobs, grant, daemon, report, asked, slot } = await streamingJob({ ignoresStop: true });
    jobs.stop(grant, CLEANUP);
    await asked("POST cdc/stop");
    // As of one that an earlier life of the agent has started as a plain process.
    await daemon.end({ status: null, signal: null });
    expect(await report()).toMatchObject(left(slot));
    expect((await report())?.error).toContain("took the stop, but nobody saw how it ended");
  });

  test("leaves its slot, and says so, when its daemon ended before it took the stop", async () => {
    const { host, jobs, grant, daemon, report, slot } = await streamingJob();
    void daemon.end({ status: 0, signal: null });
    jobs.stop(grant, CLEANUP);
    expect(await report()).toMatchObject(left(slot));
    expect(host.requests.map(({ path }) => path)).not.toContain("POST cdc/stop");
  });

  test("loses its slot also when it was being let go by then", async () => {
    const { jobs, grant, daemon, report, asked } = await streamingJob();
    daemon.pending = 1;
    jobs.stop(grant, { mode: "quiesce", cause: "drain" });
    await asked("POST cdc/pause");
    jobs.stop(grant, CLEANUP);
    daemon.pending = 0;
    expect(await report()).toMatchObject({ outcome: "stopped" });
    expect(daemon.slotDropped).toBe(true);
  });

  test("has no more time than a drain that comes meanwhile, and leaves its slot, and says so, when that is over", async () => {
    const { jobs, grant, daemon, report, asked, slot } = await streamingJob({}, { FLUSH_INTERVAL_MS: "600000" });
    daemon.pending = 1;
    jobs.stop(grant, CLEANUP);
    await asked("POST cdc/pause");
    jobs.stop(grant, { mode: "quiesce", cause: "drain", deadlineAt: performance.now() });
    expect(await report()).toMatchObject(left(slot));
  });

  test.each([
    ["before", [DRAIN, CLEANUP]],
    ["after", [CLEANUP, DRAIN]],
  ])("has no more time than the drain that was ordered %s leaves it", (_, orders) => {
    const job = new SupervisedJob(grantOf(), "stop", {} as JobPorts);
    for (const order of orders) job.stop(order);
    expect(job.stopOrder).toEqual({ ...CLEANUP, deadlineAt: DRAIN.deadlineAt });
  });
});
