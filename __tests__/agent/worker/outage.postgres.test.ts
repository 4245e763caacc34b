import { setTimeout as pause } from "node:timers/promises";
import { DEFAULT_TIMING, jobsMovedAfterMs, LeaseTiming } from "../../../control-plane/lease/timing";
import { longForm } from "../../support/long-form";
import { eventually } from "../daemon/eventually";
import { type AgentFleet, type FleetAgent, useAgentFleets } from "./agent-fleet";

const fleets = useAgentFleets();

/** Creates jobs, which run on the one agent that has slots free. */
async function runningOn(fleet: AgentFleet, agent: FleetAgent, jobs: Readonly<Record<string, object>>) {
  const ids = await Promise.all(Object.entries(jobs).map(([name, props]) => fleet.createJob(name, props)));
  await eventually(`${agent.workerId} runs its jobs`, async () => {
    const runs = ids.filter((id) => fleet.sink.of(id).some(({ workerId }) => workerId === agent.workerId));
    expect(runs).toHaveLength(ids.length);
  });
  return ids;
}

/** What was done with a job since a moment of the wall clock, in the order of the commits. */
const stepsSince = async (fleet: AgentFleet, unixMs: number, jobId: string) =>
  (await fleet.steps(jobId)).filter((step) => step.unixMs >= unixMs);

const answeredBeats = (agent: FleetAgent) => agent.said("heartbeat").filter(({ answered }) => answered);

test("control-plane 12: down for half a worker's lease, it stops no daemon and moves no job", async () => {
  const timing = LeaseTiming.parse({
    ...DEFAULT_TIMING,
    heartbeatMs: 1_500,
    workerLeaseMs: 5_000,
    killMs: 1_000,
    watchdogMs: 1_000,
    serverLeaseMs: 8_000,
    sweepMs: 100,
  });
  const fleet = await fleets.freshFleet(timing);
  const agent = await fleet.startAgent("worker-1");
  const jobs = await runningOn(fleet, agent, { stopping: {}, keeping: { onDisconnect: "keep" } });
  await fleet.startAgent("idle");
  const before = answeredBeats(agent).length;
  await eventually("the lease is fresh", async () => expect(answeredBeats(agent).length).toBeGreaterThan(before));

  const [downAt, downUnixMs] = [performance.now(), Date.now()];
  const bringBack = await fleet.takeDown();
  await pause(timing.workerLeaseMs / 2 - (performance.now() - downAt));
  await bringBack();

  const isBack = () => answeredBeats(agent).some(({ sentAt }) => sentAt > downAt);
  await eventually("it is heard again", async () => expect(isBack()).toBe(true));
  expect(agent.said("heartbeat").filter(({ answered }) => !answered)).not.toEqual([]);
  expect(fleet.sink.lives).toHaveLength(jobs.length);
  expect(fleet.sink.lives.map(({ endedAt }) => endedAt)).toEqual(jobs.map(() => undefined));
  for (const jobId of jobs) expect(await stepsSince(fleet, downUnixMs, jobId)).toEqual([]);
});

/** How long it is down: leases are over, however many of them. */
const LEASES = longForm(1.5, 5);

test(`control-plane 12: down for ${LEASES} of its leases, it moves no job before it was up for one; what is kept runs on, what stops had ended in time, and all run again, once`, async () => {
  const timing = LeaseTiming.parse({
    ...DEFAULT_TIMING,
    heartbeatMs: 400,
    workerLeaseMs: 1_200,
    killMs: 500,
    watchdogMs: 500,
    serverLeaseMs: 2_500,
    sweepMs: 50,
  });
  const fleet = await fleets.freshFleet(timing);
  // GIVEN one worker that stays and one that is gone for good when the control plane comes back, with no slot too many before
  const both = (name: string) => ({ [`${name}-stops`]: {}, [`${name}-keeps`]: { onDisconnect: "keep" } });
  const lost = await fleet.startAgent("lost", { slots: 2 });
  const [lostStops = "", lostKeeps = ""] = await runningOn(fleet, lost, both("lost"));
  const stays = await fleet.startAgent("stays", { slots: 4 });
  const [stops = "", keeps = ""] = await runningOn(fleet, stays, both("stays"));

  // WHEN
  const [downAt, downUnixMs] = [performance.now(), Date.now()];
  const bringBack = await fleet.takeDown();
  const renewedAt = Math.max(...answeredBeats(stays).map(({ sentAt }) => sentAt));
  await lost.vanish();
  await pause(LEASES * timing.serverLeaseMs - (performance.now() - downAt));
  const upUnixMs = Date.now();
  await bringBack();
  const runs = (jobId: string) => fleet.sink.of(jobId).filter(({ endedAt }) => endedAt === undefined);
  await eventually("all run again", async () => {
    for (const jobId of [stops, keeps, lostStops]) expect(runs(jobId)).toHaveLength(1);
    const { rows } = await fleet.pool.query("select id from jobs where state = 'running'");
    expect(rows).toHaveLength(4);
  });

  // THEN what stops had ended with the worker's lease, before anybody else could have had it
  const before = (jobId: string) => fleet.sink.of(jobId).filter(({ startedAt }) => startedAt < downAt);
  const endedAfterMs = (before(stops).at(-1)?.endedAt ?? Number.NaN) - renewedAt;
  expect(endedAfterMs).toBeLessThan(jobsMovedAfterMs(timing));
  // what is kept runs on where it was, and what was kept on the other is nobody else's
  expect(before(keeps).at(-1)?.endedAt).toBeUndefined();
  for (const jobId of [keeps, lostKeeps]) expect(await stepsSince(fleet, downUnixMs, jobId)).toEqual([]);
  // each of the others was freed once: given back by its own worker, or taken when its lease could be judged
  for (const [jobId, freed] of [
    [stops, /^job\.(release|lost)$/],
    [lostStops, /^job\.lost$/],
  ] as const) {
    const steps = await stepsSince(fleet, downUnixMs, jobId);
    const actions = steps.map(({ action }) => action);
    expect(actions).toEqual([expect.stringMatching(freed), "job.claim", "job.started"]);
    const isTaken = steps[0]?.action === "job.lost";
    if (isTaken) expect(steps[0]?.unixMs).toBeGreaterThanOrEqual(upUnixMs + timing.serverLeaseMs);
  }
  expect(fleet.sink.doubleRuns()).toEqual([]);
  expect(fleet.sink.refused).toEqual([]);
});
