import { movedFrom, replicatingChecks, rowsChecks } from "../../../../scripts/rehearse/fleet/fleet-checks";
import { JobsWatch } from "../../../../scripts/rehearse/fleet/jobs-watch";
import type { ReplicationJob } from "../../../../scripts/rehearse/fleet/replication";
import type { WatchedFleet } from "../../../../scripts/rehearse/fleet/watched-fleet";
import type { Occasion, Rehearsal } from "../../../../scripts/rehearse/rehearsal";
import { Story } from "../../../../scripts/rehearse/story/story";

const signal = new AbortController().signal;
const worker = (number: number) => ({
  name: `cdc/${number}`,
  group: "fleet-cdc",
  isOfCluster: false,
  state: "in service" as const,
  instance: `i-${number}`,
});
const on = (workerId: string | null, fence: string): ReplicationJob => ({
  id: "id-1",
  name: "job-01",
  state: "running",
  workerId,
  fence,
  isWriter: true,
});

/** A fleet of two workers whose one job is where the test says, and a clock that stands where it says. */
async function fleetWith(first: ReplicationJob) {
  let now = first;
  let clockMs = 0;
  const story = new Story(() => clockMs);
  clockMs = 3_000;
  const watch = { nodes: [worker(1), worker(2)] };
  const jobs = new JobsWatch({ replication: { jobs: async () => [now] }, watch, story, signal });
  await jobs.look();
  const fleet = { jobs, replication: { jobCount: 1 } } as unknown as WatchedFleet;
  const rehearsal = { fleet, story, deadlineMs: 0, signal } as unknown as Rehearsal;
  const occasion = { node: worker(1), fromMs: 500 } as unknown as Occasion;
  return {
    fleet,
    moved: movedFrom(rehearsal, occasion),
    goes: (to: ReplicationJob) => {
      now = to;
    },
  };
}

test("that a worker's jobs run elsewhere is shown with the time that it took", async () => {
  const { moved, goes } = await fleetWith(on("i-1", "1"));
  goes(on("i-2", "2"));
  expect(await moved()).toEqual([{ ok: true, text: "its jobs run elsewhere after 2.5 s: job-01" }]);
  expect(await moved(10_000)).toEqual([
    { ok: true, text: "its jobs run elsewhere after 2.5 s, 7.0 s before it is taken: job-01" },
  ]);
  expect(await moved(1_500)).toMatchObject([{ ok: false, text: expect.stringContaining("after it was taken") }]);
});

test("jobs that stay on a worker fail it, and a worker without jobs has nothing to show", async () => {
  const { moved, goes } = await fleetWith(on("i-1", "1"));
  goes(on("i-1", "1"));
  expect(await moved()).toMatchObject([{ ok: false, text: "its jobs do not all run elsewhere after 2.5 s: job-01" }]);
  expect(await (await fleetWith(on("i-2", "1"))).moved()).toEqual([{ ok: true, text: "cdc/1 ran no job" }]);
});

test("where every job replicates, their places are named; where not, what has become of each", async () => {
  const { fleet, goes } = await fleetWith(on("i-2", "1"));
  expect(await replicatingChecks(fleet, 0)).toEqual([{ ok: true, text: "every job replicates: cdc/2 runs job-01" }]);
  goes({ ...on(null, "1"), state: "pending" });
  expect(await replicatingChecks(fleet, 0)).toEqual([
    { ok: false, text: "not every job replicates after 0.0 s: job-01 is pending on no worker" },
  ]);
});

test("rows that differ and a second daemon fail the end of a rehearsal", async () => {
  const replication = (differences: readonly string[], violations: readonly string[]) => ({
    stop: async () => {},
    compare: async () => [{ table: "item_01", sourceRows: 7, sinkRows: 7, differences }],
    fencing: async () => ({ violations, claims: 2, writes: 30, refusedAwakened: 0 }),
    transactions: 40,
  });
  const judged = (differences: readonly string[], violations: readonly string[]) =>
    rowsChecks({ replication: replication(differences, violations) } as unknown as WatchedFleet, {
      withinMs: 0,
      signal,
    });
  expect(await judged([], [])).toEqual([
    { ok: true, text: "the rows of every sink are its source's: 7, after 40 transactions" },
    { ok: true, text: "no two daemons ran one job: 2 claims, 30 writes" },
  ]);
  expect(await judged(["item_01 3 is not in the sink"], ["slot: wrote"])).toEqual([
    { ok: false, text: "rows differ: item_01 3 is not in the sink" },
    { ok: false, text: "two daemons ran one job: slot: wrote" },
  ]);
});
