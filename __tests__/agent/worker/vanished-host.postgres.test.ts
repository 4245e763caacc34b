import { setTimeout as pause } from "node:timers/promises";
import { DEFAULT_TIMING, LeaseTiming } from "../../../control-plane/lease/timing";
import { quantile } from "../../../scripts/bench-control-plane/figures";
import { seededRandom } from "../../../scripts/seeded-random";
import { longForm } from "../../support/long-form";
import { eventually } from "../daemon/eventually";
import { type FleetAgent, useAgentFleets } from "./agent-fleet";

const fleets = useAgentFleets();

const TIMING = LeaseTiming.parse({
  ...DEFAULT_TIMING,
  heartbeatMs: 1_000,
  workerLeaseMs: 3_000,
  killMs: 500,
  watchdogMs: 500,
  serverLeaseMs: 4_500,
  sweepMs: 200,
});
const SEED = 7;
const ROUNDS = longForm(1, 25);
const HOSTS = longForm(4, 8);
const VANISH = longForm(1, 4);
const SLOTS = 4;

test(`control-plane 7: jobs of ${ROUNDS * VANISH} hosts that vanish run elsewhere, each once and after its daemon is gone; no job beside them is touched (seed ${SEED})`, async () => {
  const random = seededRandom(SEED);
  const fleet = await fleets.freshFleet(TIMING);
  const hosts = new Set<FleetAgent>();
  let started = 0;
  const add = async () => hosts.add(await fleet.startAgent(`host-${++started}`, { slots: SLOTS }));
  while (hosts.size < HOSTS) await add();
  // Whoever is left can run all of them.
  const jobs: string[] = [];
  while (jobs.length < (HOSTS - VANISH) * SLOTS) jobs.push(await fleet.createJob(`job-${jobs.length}`));
  const runs = (jobId: string) => fleet.sink.of(jobId).filter(({ endedAt }) => endedAt === undefined);
  const allRun = () =>
    eventually("all jobs run", async () => {
      for (const jobId of jobs) expect(runs(jobId)).toHaveLength(1);
      const { rows } = await fleet.pool.query("select id from jobs where state = 'running'");
      expect(rows).toHaveLength(jobs.length);
    });
  await allRun();

  const tookMs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    // Hosts of which each runs something.
    const busy = [...hosts].filter(({ workerId }) => jobs.some((jobId) => runs(jobId)[0]?.workerId === workerId));
    const going = busy.slice(0, VANISH);
    const names = going.map(({ workerId }) => workerId);
    const atUnixMs = Date.now();
    const lostJobs = jobs.filter((jobId) => names.includes(runs(jobId)[0]?.workerId ?? ""));
    const vanishedAt = new Map<string, number>();
    const vanishing = going.map(async (host) => {
      await pause(longForm(0, 1) * random() * TIMING.heartbeatMs);
      vanishedAt.set(host.workerId, await host.vanish());
      hosts.delete(host);
    });
    await Promise.all(vanishing);
    await allRun();

    expect(names).toHaveLength(VANISH);
    for (const jobId of jobs) {
      const steps = (await fleet.steps(jobId)).filter(({ unixMs }) => unixMs >= atUnixMs);
      const moved = steps.map(({ action, actor }) => (action === "job.lost" ? `${action} by ${actor}` : action));
      expect(moved).toEqual(lostJobs.includes(jobId) ? ["job.lost by sweeper", "job.claim", "job.started"] : []);
      const [before, now] = fleet.sink.of(jobId).slice(-2);
      const left = vanishedAt.get(before?.workerId ?? "");
      if (lostJobs.includes(jobId)) tookMs.push((now?.startedAt ?? Number.NaN) - (left ?? Number.NaN));
    }
    if (round + 1 < ROUNDS) while (hosts.size < HOSTS) await add();
  }

  expect(fleet.sink.doubleRuns()).toEqual([]);
  expect(fleet.sink.refused).toEqual([]);
  expect(tookMs.length).toBeGreaterThanOrEqual(ROUNDS * VANISH);
  const [p50, p99] = [Math.round(quantile(tookMs, 0.5)), Math.round(quantile(tookMs, 0.99))];
  process.stderr.write(
    `${tookMs.length} jobs of hosts that vanished ran elsewhere after ${p50} ms (p50), ${p99} ms (p99); L_s ${TIMING.serverLeaseMs} ms\n`,
  );
  // A machine that others use is no measure of time; the run of many is for one that is not.
  if (longForm(0, 1)) {
    expect(p50).toBeLessThanOrEqual(TIMING.serverLeaseMs);
    expect(p99).toBeLessThanOrEqual(TIMING.serverLeaseMs + 5_000);
  }
});
