import { JobsWatch } from "../../../../scripts/rehearse/fleet/jobs-watch";
import { allReplicate, busiestOf, haveMoved } from "../../../../scripts/rehearse/fleet/moves";
import type { ReplicationJob } from "../../../../scripts/rehearse/fleet/replication";
import { Story } from "../../../../scripts/rehearse/story/story";
import { NodeTable } from "../../../../scripts/rehearse/story/table";
import type { WatchedNode } from "../../../../scripts/rehearse/watch";

const job = (number: number, workerId: string | null, change: Partial<ReplicationJob> = {}): ReplicationJob => ({
  id: `id-${number}`,
  name: `job-0${number}`,
  state: "running",
  workerId,
  fence: "1",
  isWriter: true,
  ...change,
});

test("jobs replicate where each has its writer, under its own fence, on a worker in service", () => {
  const [one, two] = [job(1, "i-1"), job(2, "i-2")];
  const both = new Set(["i-1", "i-2"]);
  expect(allReplicate([one, two], both)).toBe(true);
  expect(allReplicate([one, two], new Set(["i-1"]))).toBe(false);
  expect(allReplicate([one, job(2, null)], both)).toBe(false);
  expect(allReplicate([one, job(2, "i-2", { isWriter: false })], both)).toBe(false);
  expect(allReplicate([one, job(2, "i-2", { state: "pending" })], both)).toBe(false);
});

test("the jobs of a worker have moved once each of them writes on another, under a later fence", () => {
  const before = [job(1, "i-1"), job(2, "i-1"), job(3, "i-2")];
  const moved = (number: number, change: Partial<ReplicationJob> = {}) => job(number, "i-2", { fence: "2", ...change });
  expect(haveMoved(before, [moved(1), moved(2), job(3, "i-2")], "i-1")).toBe(true);
  expect(haveMoved(before, [moved(1), job(2, "i-1"), job(3, "i-2")], "i-1")).toBe(false);
  expect(haveMoved(before, [moved(1), moved(2, { isWriter: false })], "i-1")).toBe(false);
  expect(haveMoved(before, [moved(1), moved(2, { fence: "1" })], "i-1")).toBe(false);
  expect(haveMoved(before, [moved(1)], "i-1")).toBe(false);
});

test("the busiest worker is the one with the most jobs", () => {
  expect(busiestOf([job(1, "i-1"), job(2, "i-2"), job(3, "i-2"), job(4, null)])).toBe("i-2");
  expect(busiestOf([job(1, null)])).toBeUndefined();
});

test("which worker runs which job is told once, by the worker's name, and stands in the table", async () => {
  const worker = (number: number): WatchedNode => ({
    name: `cdc/${number}`,
    group: "fleet-cdc",
    isOfCluster: false,
    state: "in service",
    instance: `i-${number}`,
  });
  let jobs: readonly ReplicationJob[] | Error = [];
  const story = new Story(() => 0);
  const table = new NodeTable();
  story.onTold((happening) => table.note(happening));
  for (const { name: node, instance = "" } of [worker(1), worker(2)])
    story.tell({ kind: "node", node, state: "in service", instance, text: "" });
  const watch = new JobsWatch({
    replication: {
      jobs: async () => {
        if (jobs instanceof Error) throw jobs;
        return jobs;
      },
    },
    watch: { nodes: [worker(1), worker(2)] },
    story,
    signal: new AbortController().signal,
  });
  const looking = async (now: readonly ReplicationJob[] | Error) => {
    const before = story.happenings.length;
    jobs = now;
    await watch.look();
    return story.happenings.slice(before).map(({ text }) => text);
  };

  expect(await looking([])).toEqual([]);
  expect(await looking([job(2, "i-1"), job(1, "i-1")])).toEqual(["cdc/1 runs job-01 job-02"]);
  expect(table.lines(0, 100).find((line) => line.includes("i-1"))).toMatch(/job-01 job-02$/);
  expect(await looking([job(2, "i-1"), job(1, "i-1")])).toEqual([]);
  // A control plane that does not answer changes nothing.
  expect(await looking(new Error("no answer"))).toEqual([]);
  expect(watch.allReplicate).toBe(true);
  expect(await looking([job(2, "i-2"), job(1, "i-1")])).toEqual(["cdc/1 runs job-01", "cdc/2 runs job-02"]);
});
