import { DEFAULT_TIMING, LeaseTiming } from "../../../control-plane/lease/timing";
import { eventually } from "../daemon/eventually";
import { useMachine } from "./machine";

/** A lease that outlasts any start of an agent: what is looked at is the restart, not the lease. */
const TIMING = LeaseTiming.parse({ ...DEFAULT_TIMING, workerLeaseMs: 150_000, serverLeaseMs: 300_000 });

const machine = useMachine(TIMING);

test("R30, with three reference daemons: an agent that is killed, or hands over, leaves its daemons running, and the next one takes them up", async () => {
  const jobs = await Promise.all(["a", "b", "c"].map((name) => machine.createJob(name)));
  let agent = machine.startAgent("worker-1");
  for (const job of jobs) await job.reaches("running");
  await eventually("all run", async () => expect(await agent.daemons()).toHaveLength(jobs.length), 60_000);
  const pids = async () => (await agent.daemons()).map(({ jobId, fence, pid }) => `${jobId} ${fence} ${pid}`).sort();
  const before = await pids();

  for (const signal of ["SIGKILL", "SIGHUP"] as const) {
    // WHEN
    agent.process.kill(signal);
    await agent.ended;
    expect(await pids()).toEqual(before);
    agent = machine.startAgent("worker-1", {}, agent.directory);
    const found = () => agent.lines.filter((line) => line.includes("job found running"));
    await eventually("all are taken up", async () => expect(found()).toHaveLength(jobs.length), 60_000);
    await eventually("it is registered", async () => expect(agent.lines.join()).toContain('"registered"'), 60_000);

    // THEN
    expect(await pids()).toEqual(before);
  }

  // They are this agent's to stop, and none else was started.
  for (const job of jobs) {
    await job.source.query("insert into item values (4, 'four')");
    await job.equal();
    expect((await job.state())["fence"]).toBe(1);
    await eventually("it is asked to stop", async () => {
      const { status } = await machine.operator.post(`/jobs/${job.id}/stop`);
      expect(status).toBe(200);
    });
    await job.reaches("stopped");
  }
  await eventually("no daemon is left", async () => expect(await agent.daemons()).toEqual([]), 60_000);
});
