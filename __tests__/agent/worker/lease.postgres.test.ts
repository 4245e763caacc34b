import { DEFAULT_TIMING, LeaseTiming } from "../../../control-plane/lease/timing";
import { eventually } from "../daemon/eventually";
import { type RunningAgent, type TestJob, useMachine } from "./machine";

/** A short lease with a wide margin: jobs move long after their daemons must be gone, on a slow machine too. */
const TIMING = LeaseTiming.parse({
  ...DEFAULT_TIMING,
  heartbeatMs: 1_000,
  sweepMs: 200,
  workerLeaseMs: 4_000,
  watchdogMs: 8_000,
  serverLeaseMs: 16_000,
});

const machine = useMachine(TIMING);

/** Waits until the agent has no daemon. @returns a moment on the wall clock when that was so, in milliseconds */
const gone = (agent: RunningAgent, what: string) =>
  eventually(
    `${what}: the daemons are gone`,
    async () => {
      expect(await agent.daemons()).toEqual([]);
      return Date.now();
    },
    30_000,
  );

const fenceOf = async (job: TestJob) => Number((await job.state())["fence"]);

/** The job runs on, under a larger fence, and whoever had it before has no daemon. */
async function movedOn(job: TestJob, from: RunningAgent, fence: number): Promise<void> {
  await eventually("the job runs elsewhere", async () => expect(await fenceOf(job)).toBeGreaterThan(fence), 60_000);
  expect(await from.daemons()).toEqual([]);
  await job.reaches("running");
  await job.source.query("insert into item values (100, 'later')");
  await job.equal();
}

/** What was done with a job, by the audit log: each action, with the time on the database's clock, which is this machine's. */
async function stepsOf({ id }: TestJob): Promise<{ action: string; at: number }[]> {
  const { body } = await machine.operator.get("/audit");
  const entries = body as { action: string; subject: string; at: string }[];
  return entries
    .filter(({ action, subject }) => subject === id && action !== "job.create")
    .map(({ action, at }) => ({ action, at: Date.parse(at) }));
}

const actionsOf = async (job: TestJob) => (await stepsOf(job)).map(({ action }) => action);

test("R24, control-plane 6 and 7: daemons of an agent that was killed, and of one that is cut off, are gone before their jobs may go to another; its own stay as they are", async () => {
  // GIVEN two agents with as much as they can run, and one that could run it all
  const jobs = [await machine.createJob("orders"), await machine.createJob("customers")];
  const direct = { controlPlaneUrl: machine.controlPlane.url };
  const agents = [machine.startAgent("killed", { slots: 1, ...direct }), machine.startAgent("cut-off", { slots: 1 })];
  for (const job of jobs) await job.reaches("running");
  const healthy = machine.startAgent("healthy", direct);
  const own = await machine.createJob("own");
  await own.reaches("running");
  for (const agent of [...agents, healthy]) {
    await eventually("its daemon runs", async () => expect(await agent.daemons()).toHaveLength(1));
  }
  const lost = agents.map(async (agent) => {
    const [daemon] = await agent.daemons();
    const job = jobs.find(({ id }) => id === daemon?.jobId) as TestJob;
    return { agent, job, fence: daemon?.fence ?? Number.NaN };
  });
  const [[daemon], ...held] = [await healthy.daemons(), ...(await Promise.all(lost))];

  // WHEN one is killed, whose daemon outlives it and is ended by its guard, and the other's way is cut
  agents[0]?.process.kill("SIGKILL");
  machine.cable.cut();

  // THEN
  const goneAt = await Promise.all(held.map(({ agent }) => gone(agent, agent.directory)));
  for (const [index, { job, agent, fence }] of held.entries()) {
    await movedOn(job, agent, fence);
    const taken = (await stepsOf(job)).filter(({ action }) => action === "job.lost");
    expect(taken).toHaveLength(1);
    expect(taken[0]?.at).toBeGreaterThan(goneAt[index] ?? Number.NaN);
  }
  expect(await actionsOf(own)).toEqual(["job.claim", "job.started"]);
  expect((await healthy.daemons()).filter(({ jobId }) => jobId === own.id)).toEqual([daemon]);
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
