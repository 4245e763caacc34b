import { busiestOf, haveMoved, jobsOf } from "../../../scripts/rehearse/fleet/moves";
import type { ReplicationJob } from "../../../scripts/rehearse/fleet/replication";
import { systemClock } from "../../../scripts/rolling-update/clock";
import { follow } from "../../../scripts/rolling-update/fleet/follow";
import { PATIENCE_MS } from "../instance/until";
import type { FleetLab, FleetRelease } from "./fleet-lab";

/** EC2 announces an interruption so long ahead. */
const SPOT_NOTICE_MS = 120_000;
/** Before an interruption everything must be over for so long. */
const SPOT_MARGIN_MS = 20_000;

/** Takes the power from a worker: its jobs run elsewhere once its lease is over, and another instance takes its place. */
export async function loseAWorker(lab: FleetLab): Promise<void> {
  const before = await lab.replicating();
  const lost = busiestOf(before) ?? "";
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
  const interrupted = busiestOf(before) ?? "";
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
  lab.measured({
    "Spot notice: jobs run elsewhere after ms": movedMs - toldMs,
    "Spot notice: replaced after ms": Date.now() - toldMs,
  });
}

/**
 * Recommends to leave a worker, which then hands its jobs over and stays, and has the group shrink by one: no worker with a job goes,
 * but the one without, through its hook.
 */
export async function scaleIn(lab: FleetLab): Promise<void> {
  const before = await lab.replicating();
  const leaving = busiestOf(before) ?? "";
  const toldMs = Date.now();
  lab.cloud().notify(leaving, { rebalanceRecommendedAt: new Date(toldMs) });
  await movedFrom(lab, leaving, before);
  const movedMs = Date.now() - toldMs;
  expect(movedMs).toBeLessThan(lab.drainDeadlineMs);

  const jobs = await lab.replicating();
  const busy = new Set(jobs.map(({ workerId }) => workerId));
  await lab.until("the workers with jobs are protected, and no others", async () =>
    (await lab.workers()).every(({ instanceId, isProtected }) => isProtected === busy.has(instanceId)),
  );
  const stay = (await lab.workers()).map(({ instanceId }) => instanceId).filter((id) => id !== leaving);
  expect(stay.sort()).toEqual([...busy].sort());

  await lab.resize(stay.length);
  await lab.inService(stay.length);
  expect((await lab.workers()).map(({ instanceId }) => instanceId).sort()).toEqual(stay);
  const place = ({ id, workerId, fence }: ReplicationJob) => ({ id, workerId, fence });
  expect((await lab.replicating()).map(place)).toEqual(jobs.map(place));
  lab.measured({
    "rebalance recommendation: jobs run elsewhere after ms": movedMs,
    "scale-in: drained after ms": await drainOf(lab, leaving),
  });
}

/** Applies a release and follows the refresh of the group that it starts: every worker is replaced, each after its drain. */
export async function refreshWorkers(lab: FleetLab, name: string, release: FleetRelease): Promise<void> {
  await lab.replicating();
  const former = (await lab.workers()).map(({ instanceId }) => instanceId);
  await lab.release(release);
  const startedMs = Date.now();
  await lab.terraform().apply();
  await refreshed(lab, startedMs);
  const endedMs = Date.now();
  await lab.inService(former.length);
  await lab.replicating();

  const now = (await lab.workers()).map(({ instanceId }) => instanceId);
  expect(now.filter((id) => former.includes(id))).toEqual([]);
  const drains: number[] = [];
  for (const worker of former) drains.push(await drainOf(lab, worker));
  const sessions = (await lab.replication().sessions()).filter(({ workerId }) => now.includes(workerId));
  expect(new Set(sessions.map(({ daemonVersion }) => daemonVersion))).toEqual(new Set([release.daemonVersion]));
  lab.measured({ [`${name}: ms`]: endedMs - startedMs, [`${name}: drained after ms`]: drains });
}

/** Waits until the refresh that an apply started is over, as `holdfast roll fleet follow` does. */
async function refreshed(lab: FleetLab, sinceMs: number): Promise<void> {
  const refreshes = lab.refreshes();
  const begun = async () => (await refreshes.describe(lab.group)).find(({ startedMs }) => startedMs >= sinceMs);
  await lab.until("the apply has started a refresh", async () => (await begun()) !== undefined);
  const { id = "" } = (await begun()) ?? {};
  const { status, error } = await follow({ refreshes, clock: systemClock, report: () => {} }, lab.group, {
    id,
    appearMs: PATIENCE_MS,
    timeoutMs: 2 * PATIENCE_MS,
  });
  expect([status, error]).toEqual(["done", undefined]);
}

/** Waits until the jobs of a worker replicate elsewhere. */
async function movedFrom(lab: FleetLab, worker: string, before: readonly ReplicationJob[]): Promise<void> {
  expect(jobsOf(before, worker).length).toBeGreaterThan(0);
  await lab.until(`the jobs of ${worker} run elsewhere`, async () =>
    haveMoved(before, await lab.replication().jobs(), worker),
  );
  await lab.replicating();
}

/**
 * Milliseconds from the group's decision to end a worker to the worker's goodbye. It was in time, and the worker ended the hook
 * itself: the group did not wait for the hook's timeout.
 */
async function drainOf(lab: FleetLab, worker: string): Promise<number> {
  await lab.until(`${worker} has gone`, async () => (await lab.drainOf(worker)) !== undefined);
  const { tookMs = Number.POSITIVE_INFINITY, endedMs = Number.POSITIVE_INFINITY } = (await lab.drainOf(worker)) ?? {};
  expect(tookMs).toBeLessThan(lab.drainDeadlineMs);
  expect(endedMs).toBeLessThan(lab.terminateHookTimeoutMs);
  return tookMs;
}
