import { longForm } from "../../support/long-form";
import type { Daemon } from "./agents/daemon";
import { Fleet, TIMING } from "./agents/fleet";
import type { LeftOut } from "./agents/rules";
import { useVirtualProcesses } from "./agents/virtual-process";
import type { Worker } from "./agents/worker";
import { World } from "./simulator/world";

const { workerLeaseMs, serverLeaseMs } = TIMING;
/** Long enough for every job to run. */
const BEGUN_MS = 15_000;
/** Long enough for every job to run again. */
const AGAIN_MS = 30_000;
const SEEDS = Array.from({ length: longForm(8, 200) }, (_, seed) => seed);
const OUTAGES = 4;
const LEASES = longForm(5, 50);

useVirtualProcesses();

const daemonsOf = (workers: readonly Worker[]): Daemon[] => workers.flatMap(({ daemons }) => [...daemons]);

/** Agents as they are shipped that run every job, over a network that carries everything; then it is some moment between two heartbeats. */
async function runningFleet(seed: number, leftOut?: LeftOut): Promise<Fleet> {
  const fleet = new Fleet(new World(seed), leftOut);
  fleet.heal();
  await fleet.run(BEGUN_MS + fleet.world.between(0, workerLeaseMs));
  expect(fleet.unsettled()).toBe(false);
  return fleet;
}

/** Away for so long, and with it one worker for good. */
async function outage(seed: number, downMs: number, leftOut?: LeftOut) {
  const fleet = await runningFleet(seed, leftOut);
  const { server, workers, world } = fleet;
  const gone = world.pick(workers);
  const kept = daemonsOf(workers.filter((worker) => worker !== gone)).filter(
    ({ record }) => record.onDisconnect === "keep",
  );
  const stranded = new Map(daemonsOf([gone]).map(({ record }) => [record.jobId, record]));
  const upAtMs = world.nowMs + downMs;
  gone.vanish();
  server.restart(downMs);
  const isMoved = (jobId: string) => server.jobs.get(jobId)?.fence !== stranded.get(jobId)?.fence;

  await fleet.run(upAtMs + serverLeaseMs - 1);
  const early = [...stranded.keys()].filter(isMoved);
  await fleet.run(upAtMs + serverLeaseMs + AGAIN_MS);

  const { overlaps, lost, strays } = fleet.outcome();
  const stays = [...stranded.values()].filter(({ onDisconnect }) => onDisconnect === "keep");
  return {
    kept: kept.length,
    stranded: stranded.size,
    ended: kept.filter(({ isAlive }) => !isAlive).length,
    early: early.length,
    stolen: stays.filter(({ jobId }) => isMoved(jobId)),
    overlaps,
    // Nobody but an operator can say that the daemon of a job that is kept went with its machine.
    lost: lost.filter((jobId) => !stays.some((record) => record.jobId === jobId)),
    strays,
  };
}

it("control-plane 12: down for half a worker's lease, whenever that begins, it stops no daemon and moves no job", async () => {
  for (const seed of SEEDS) {
    const fleet = await runningFleet(seed);
    const daemons = daemonsOf(fleet.workers);
    const jobs = [...fleet.server.jobs];
    expect(daemons).toHaveLength(jobs.length);

    for (let outage = 0; outage < OUTAGES; outage++) {
      fleet.server.restart(workerLeaseMs / 2);
      await fleet.run(fleet.world.nowMs + 2 * serverLeaseMs + fleet.world.between(0, workerLeaseMs));

      expect(daemons.map(({ isAlive }) => isAlive)).toEqual(daemons.map(() => true));
      expect([...fleet.server.jobs]).toEqual(jobs);
    }
    expect(daemonsOf(fleet.workers)).toHaveLength(daemons.length);
  }
});

it(`control-plane 12: down for ${LEASES} of its leases, it stops nothing that is kept, and moves nothing before it was up for one`, async () => {
  const seen = { kept: 0, stranded: 0 };
  for (const seed of SEEDS) {
    const { kept, stranded, ...faults } = await outage(seed, LEASES * serverLeaseMs);
    expect({ seed, ...faults }).toEqual({ seed, ended: 0, early: 0, stolen: [], overlaps: [], lost: [], strays: [] });
    seen.kept += kept;
    seen.stranded += stranded;
  }
  expect(seen.kept).toBeGreaterThan(SEEDS.length / 3);
  expect(seen.stranded).toBeGreaterThan(SEEDS.length / 3);
});

it.each([
  ["keep", "ended"],
  ["restart grace", "early"],
] as const)("control-plane 2: such an outage shows when this is left out: %s", async (leftOut, symptom) => {
  const shown: number[] = [];
  for (const seed of SEEDS) {
    const told = await outage(seed, 5 * serverLeaseMs, leftOut);
    if (told[symptom] > 0) shown.push(seed);
  }

  expect(shown).not.toEqual([]);
});
