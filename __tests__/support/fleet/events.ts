import { AutoScalingClient, SetDesiredCapacityCommand } from "@aws-sdk/client-auto-scaling";
import { instanceRefreshes } from "../../../scripts/rolling-update/aws/instance-refreshes";
import { systemClock } from "../../../scripts/rolling-update/clock";
import { follow } from "../../../scripts/rolling-update/fleet/follow";
import { PATIENCE_MS } from "../instance/until";
import { CREDENTIALS, type FleetLab, type FleetRelease, GROUP, REGION } from "./fleet-lab";
import type { ReplicationJob } from "./replication";

/** Before a Spot interruption everything must be over for so long. */
const SPOT_MARGIN_MS = 20_000;
/** EC2 announces an interruption so long ahead. */
const SPOT_NOTICE_MS = 120_000;

/** The worker that runs the most jobs. */
export async function busiestWorker(lab: FleetLab): Promise<string> {
  const workers = (await lab.replicating()).map(({ workerId }) => workerId ?? "");
  const load = (worker: string) => workers.filter((other) => other === worker).length;
  const [busiest = ""] = [...new Set(workers)].sort((a, b) => load(b) - load(a));
  return busiest;
}

/** Waits until the jobs of a worker replicate elsewhere; the others have stayed where they were. */
async function movedFrom(lab: FleetLab, worker: string, before: readonly ReplicationJob[]): Promise<void> {
  await lab.until(`the jobs of ${worker} run elsewhere`, async () =>
    (await lab.replication().jobs()).every(({ workerId }) => workerId !== null && workerId !== worker),
  );
  const after = new Map((await lab.replicating()).map((job) => [job.id, job]));
  for (const { id, workerId, fence } of before) {
    const now = after.get(id);
    if (workerId === worker) expect(Number(now?.fence)).toBeGreaterThan(Number(fence));
    else expect(now).toMatchObject({ workerId, fence });
  }
}

/** Takes the power from a worker: its jobs run elsewhere once its lease is over, and another instance takes its place. */
export async function loseAWorker(lab: FleetLab): Promise<void> {
  const before = await lab.replicating();
  const lost = await busiestWorker(lab);
  const size = (await lab.workers()).length;

  const killedMs = Date.now();
  await lab.machine(lost).kill();
  await movedFrom(lab, lost, before);
  const movedMs = Date.now();
  await lab.inService(size);

  expect(await lab.goodbyeOf(lost)).toBeNull();
  lab.measured({
    "lost worker: jobs run elsewhere after ms": movedMs - killedMs,
    "lost worker: replaced after ms": Date.now() - killedMs,
  });
}

/** Announces to a worker that EC2 takes it in two minutes: its jobs are gone from it in time, and it is replaced. */
export async function interruptAWorker(lab: FleetLab): Promise<void> {
  const before = await lab.replicating();
  const interrupted = await busiestWorker(lab);
  const size = (await lab.workers()).length;

  const toldMs = Date.now();
  const spotInterruptionAt = new Date(toldMs + SPOT_NOTICE_MS);
  lab.cloud().notify(interrupted, { spotInterruptionAt });
  await movedFrom(lab, interrupted, before);
  const movedMs = Date.now();
  expect(movedMs).toBeLessThan(spotInterruptionAt.getTime() - SPOT_MARGIN_MS);

  await lab.until("EC2 takes it", async () =>
    (await lab.workers()).every(({ instanceId }) => instanceId !== interrupted),
  );
  await lab.inService(size);
  lab.measured({ "Spot interruption: jobs run elsewhere after ms": movedMs - toldMs });
}

/** Recommends to leave a worker: it hands its jobs over and stays, without any. */
export async function recommendRebalance(lab: FleetLab): Promise<void> {
  const before = await lab.replicating();
  const worker = await busiestWorker(lab);
  const toldMs = Date.now();
  lab.cloud().notify(worker, { rebalanceRecommendedAt: new Date(toldMs) });
  await movedFrom(lab, worker, before);
  const movedMs = Date.now() - toldMs;
  expect(movedMs).toBeLessThan(lab.drainDeadlineMs);
  lab.measured({ "rebalance recommendation: jobs run elsewhere after ms": movedMs });
}

/** Shrinks the group by one: no worker that holds a job goes; one that has handed its jobs over does, through its hook. */
export async function scaleIn(lab: FleetLab): Promise<void> {
  const size = (await lab.workers()).length;
  const before = await lab.replicating();
  const drained = await busiestWorker(lab);
  await lab.replication().drain(drained);
  await movedFrom(lab, drained, before);
  await lab.until("exactly the workers with jobs are protected", async () => {
    const busy = new Set((await lab.replication().jobs()).map(({ workerId }) => workerId));
    return (await lab.workers()).every(({ instanceId, isProtected }) => isProtected === busy.has(instanceId));
  });
  const jobs = await lab.replicating();
  const busy = new Set(jobs.map(({ workerId }) => workerId));
  const former = await lab.workers();

  const client = new AutoScalingClient({ region: REGION, endpoint: lab.cloud().aws.url, credentials: CREDENTIALS });
  await client.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: GROUP, DesiredCapacity: size - 1 }));
  await lab.inService(size - 1);

  const left = new Set((await lab.workers()).map(({ instanceId }) => instanceId));
  const [gone = "", ...more] = former.map(({ instanceId }) => instanceId).filter((id) => !left.has(id));
  expect(more).toEqual([]);
  expect(busy).not.toContain(gone);
  const workers = ({ id, workerId, fence }: ReplicationJob) => ({ id, workerId, fence });
  expect((await lab.replicating()).map(workers)).toEqual(jobs.map(workers));
  lab.measured({ "scale-in: drained after ms": await drainOf(lab, gone) });
}

/** Applies a release and follows the refresh of the group that it starts: every worker is replaced, each after its drain. */
export async function refreshWorkers(lab: FleetLab, name: string, release: FleetRelease): Promise<void> {
  const former = await lab.workers();
  await lab.release(release);
  const startedMs = Date.now();
  await lab.terraform().apply();
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: "emulator", AWS_SECRET_ACCESS_KEY: "emulator" });
  const refreshes = instanceRefreshes({ region: REGION, endpoint: lab.cloud().aws.url });
  const { status, error } = await follow({ refreshes, clock: systemClock, report: () => {} }, GROUP, {
    appearMs: PATIENCE_MS,
    timeoutMs: PATIENCE_MS,
  });
  expect([status, error]).toEqual(["done", undefined]);
  const endedMs = Date.now();
  await lab.inService(former.length);
  await lab.replicating();

  const now = (await lab.workers()).map(({ instanceId }) => instanceId);
  const drains: number[] = [];
  for (const { instanceId } of former) {
    expect(now).not.toContain(instanceId);
    drains.push(await drainOf(lab, instanceId));
  }
  const sessions = (await lab.replication().sessions()).filter(({ workerId }) => now.includes(workerId));
  expect(new Set(sessions.map(({ daemonVersion }) => daemonVersion))).toEqual(new Set([release.daemonVersion]));
  lab.measured({ [`${name}: ms`]: endedMs - startedMs, [`${name}: drained after ms`]: drains });
}

/**
 * Milliseconds from the group's decision to end a worker to the worker's goodbye, which it says when its last job is given back.
 * It was in time, and so was the completion of the hook: the group did not wait for the hook's timeout.
 */
async function drainOf(lab: FleetLab, worker: string): Promise<number> {
  let tookMs = 0;
  await lab.until(`${worker} has gone`, async () => {
    const ending = (await lab.activities("Terminating EC2 instance")).get(worker);
    if (ending?.StatusCode !== "Successful") return false;
    const begunMs = ending.StartTime?.getTime() ?? 0;
    const goodbye = await lab.goodbyeOf(worker);
    expect(goodbye).not.toBeNull();
    tookMs = (goodbye?.getTime() ?? 0) - begunMs;
    expect((ending.EndTime?.getTime() ?? Number.POSITIVE_INFINITY) - begunMs).toBeLessThan(lab.terminateHookTimeoutMs);
    return true;
  });
  expect(tookMs).toBeLessThan(lab.drainDeadlineMs);
  return tookMs;
}
