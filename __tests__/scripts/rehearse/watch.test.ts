import { Story } from "../../../scripts/rehearse/story/story";
import { Watch, type WatchedGroup } from "../../../scripts/rehearse/watch";

const member = (id: string, lifecycle = "InService", healthy = true) => ({ id, lifecycle, healthy });
const cluster = (id: string, ...members: WatchedGroup["members"][number][]): WatchedGroup => ({
  name: `orders-node-${id}`,
  wanted: 1,
  node: id,
  pool: "",
  members,
});
const pool = (wanted: number, ...members: WatchedGroup["members"][number][]): WatchedGroup => ({
  name: "fleet-docs",
  wanted,
  node: undefined,
  pool: "docs",
  members,
});

function watching() {
  let groups: readonly WatchedGroup[] | Error = [];
  const story = new Story(() => 0);
  const launched: string[] = [];
  const watch = new Watch({
    story,
    read: async () => {
      if (groups instanceof Error) throw groups;
      return groups;
    },
    onInstance: (node, instance) => launched.push(`${node} ${instance}`),
    signal: new AbortController().signal,
    pollMs: 1,
  });
  const seeing = async (...now: readonly WatchedGroup[]) => {
    groups = now;
    await watch.look();
    return watch.nodes.map(({ name, state, instance }) => [name, state, instance].filter(Boolean).join(" "));
  };
  return { watch, story, launched, seeing, failing: (error: Error) => (groups = error) };
}

test("a node of a cluster is what its instance is, and the one that comes counts before the one that goes", async () => {
  const { seeing, story, launched } = watching();
  expect(await seeing(cluster("00"))).toEqual(["00 down"]);
  expect(await seeing(cluster("00", member("i-1", "Pending:Wait")))).toEqual(["00 booting i-1"]);
  expect(await seeing(cluster("00", member("i-1")))).toEqual(["00 in service i-1"]);
  expect(await seeing(cluster("00", member("i-1", "InService", false)))).toEqual(["00 down i-1"]);
  expect(await seeing(cluster("00", member("i-1", "Terminating:Wait")))).toEqual(["00 leaving i-1"]);
  expect(await seeing(cluster("00", member("i-1", "Terminating:Wait"), member("i-2", "Pending")))).toEqual([
    "00 booting i-2",
  ]);
  expect(launched).toEqual(["00 i-1", "00 i-2"]);
  expect(story.happenings.filter(({ kind }) => kind === "node")).toHaveLength(6);
});

test("what stays as it is is told once, and a look that fails changes nothing", async () => {
  const { seeing, story, watch, failing } = watching();
  await seeing(cluster("00", member("i-1")));
  const told = story.happenings.length;
  await seeing(cluster("00", member("i-1")));
  failing(new Error("Throttling"));
  await watch.look();
  expect(story.happenings).toHaveLength(told);
  expect(watch.allWell).toBe(true);
});

test("an instance of a pool keeps its number, and leaves it to the next as long as the pool wants as many", async () => {
  const { seeing } = watching();
  expect(await seeing(pool(2, member("i-1"), member("i-2", "Pending")))).toEqual([
    "docs/1 in service i-1",
    "docs/2 booting i-2",
  ]);
  expect(await seeing(pool(2, member("i-2")))).toEqual(["docs/1 down", "docs/2 in service i-2"]);
  expect(await seeing(pool(2, member("i-2"), member("i-3", "Pending")))).toEqual([
    "docs/1 booting i-3",
    "docs/2 in service i-2",
  ]);
  expect(await seeing(pool(1, member("i-2")))).toEqual(["docs/2 in service i-2"]);
  expect(await seeing(pool(0))).toEqual([]);
});

test("a surplus that goes again is no node that is missing", async () => {
  const { seeing, watch, story } = watching();
  await seeing(pool(1, member("i-1"), member("i-2", "Pending")));
  await seeing(pool(1, member("i-2")));
  expect(watch.nodes.map(({ name }) => name)).toEqual(["docs/2"]);
  expect(watch.allWell).toBe(true);
  expect(story.happenings.at(-1)).toMatchObject({ kind: "gone", node: "docs/1" });
});

test("everything is well once every group has what it wants, and the application says so too", async () => {
  const { seeing, watch } = watching();
  expect(watch.allWell).toBe(false);
  await seeing(cluster("00", member("i-1")), cluster("01"));
  expect([watch.serving, watch.wanted, watch.allWell]).toEqual([1, 2, false]);
  watch.unwell = async (nodes) => new Map(nodes.flatMap(({ name }) => (name === "01" ? [[name, "no quorum"]] : [])));
  expect(await seeing(cluster("00", member("i-1")), cluster("01", member("i-2")))).toContain("01 unwell i-2");
  expect(watch.allWell).toBe(false);
  watch.unwell = async () => new Map();
  await watch.look();
  expect(watch.allWell).toBe(true);
});

test("what a group cannot see stands over what it shows until it is taken back", async () => {
  const { seeing, watch } = watching();
  const end = watch.override("00", "booting");
  expect(await seeing(cluster("00", member("i-1")))).toEqual(["00 booting i-1"]);
  end();
  expect(await seeing(cluster("00", member("i-1")))).toEqual(["00 in service i-1"]);
});
