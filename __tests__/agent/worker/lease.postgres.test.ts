import { DEFAULT_TIMING, LeaseTiming } from "../../../control-plane/lease/timing";
import { eventually } from "../daemon/eventually";
import { type RunningAgent, type TestJob, useMachine } from "./machine";

/** A short lease with a wide margin: jobs move long after their daemons must be gone, on a slow machine too. */
const TIMING = LeaseTiming.parse({
  ...DEFAULT_TIMING,
  heartbeatMs: 2_000,
  sweepMs: 200,
  workerLeaseMs: 4_000,
  watchdogMs: 8_000,
  serverLeaseMs: 16_000,
});

const machine = useMachine(TIMING);

const gone = (agent: RunningAgent, what: string) =>
  eventually(`${what}: the daemons are gone`, async () => expect(await agent.daemons()).toEqual([]), 30_000);

const fenceOf = async (job: TestJob) => Number((await job.state())["fence"]);

/** The job runs on, under a larger fence, and whoever had it before has no daemon. */
async function movedOn(job: TestJob, from: RunningAgent, fence: number): Promise<void> {
  await eventually("the job runs elsewhere", async () => expect(await fenceOf(job)).toBeGreaterThan(fence), 60_000);
  expect(await from.daemons()).toEqual([]);
  await job.reaches("running");
  await job.source.query("insert into item values (100, 'later')");
  await job.equal();
}

test("R24, control-plane 6: daemons of an agent that was killed end before their jobs go to another", async () => {
  const job = await machine.createJob("orders");
  const first = machine.startAgent("worker-1");
  await job.reaches("running");
  const fence = await fenceOf(job);
  await eventually("the daemon runs", async () => expect(await first.daemons()).toHaveLength(1));

  // WHEN it is killed, the daemon outlives it, and the guard outlives both
  first.process.kill("SIGKILL");
  await first.ended;
  machine.startAgent("worker-2");

  await gone(first, "killed");
  await movedOn(job, first, fence);
});

test("R24, control-plane 6: daemons of an agent that is stopped for longer than the lease end meanwhile; it goes on with what it is given next", async () => {
  const job = await machine.createJob("orders");
  const agent = machine.startAgent("worker-1");
  await job.reaches("running");
  const fence = await fenceOf(job);
  await eventually("the daemon runs", async () => expect(await agent.daemons()).toHaveLength(1));

  agent.process.kill("SIGSTOP");
  await gone(agent, "stopped");
  agent.process.kill("SIGCONT");

  await eventually("the job is granted again", async () => expect(await fenceOf(job)).toBeGreaterThan(fence), 60_000);
  await job.reaches("running");
  await job.source.query("insert into item values (100, 'later')");
  await job.equal();
});

test("R24: cut off for longer than the lease, an agent ends the daemons that must stop and keeps those that may stay", async () => {
  const stopping = await machine.createJob("stopping");
  const keeping = await machine.createJob("keeping", { onDisconnect: "keep" });
  const agent = machine.startAgent("worker-1");
  await Promise.all([stopping.reaches("running"), keeping.reaches("running")]);
  const daemons = () => agent.daemons();
  await eventually("both run", async () => expect(await daemons()).toHaveLength(2));
  const kept = (await daemons()).find(({ jobId }) => jobId === keeping.id);

  // WHEN
  machine.cable.cut();

  // THEN
  await eventually("one is gone", async () => expect(await daemons()).toHaveLength(1), 30_000);
  expect(await daemons()).toEqual([kept]);
  await keeping.source.query("insert into item values (100, 'later')");
  await keeping.equal();
  expect(await daemons()).toEqual([kept]);
});
