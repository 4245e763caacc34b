import { type Faults, noFaults } from "../../../scripts/emulator/faults";
import { type Controlled, controlApp } from "../../../scripts/rehearse/control/control-server";
import { setFaults } from "../../../scripts/rehearse/control/fault-settings";
import { announce, findSession } from "../../../scripts/rehearse/control/session";
import { Story } from "../../../scripts/rehearse/story/story";
import { useScratch } from "../../support/scratch";

const scratch = useScratch();
const call = (action: string) => ({ service: "ec2", region: "eu-west-1", action, parameters: {} });
const order = (group: string) => ({ group, template: { id: "lt-1" }, zone: "eu-west-1a", spot: false, tags: {} });

function running() {
  const faults: Faults = noFaults();
  const nodes = [{ name: "01", state: "in service", instance: "i-1", group: "orders-node-01", isOfCluster: true }];
  const story = new Story(() => 0);
  const controlled = {
    watch: { nodes, node: (name: string) => nodes.find((node) => node.name === name) },
    stage: { aws: { faults }, inside: { shell: (id: string) => ["podman", "exec", id] } },
    story,
    consoles: { of: async (node: string) => (node === "01" ? "=== i-1\nlogin:" : undefined) },
  } as unknown as Controlled;
  const app = controlApp(controlled);
  const ask = async (path: string, method = "GET", body?: unknown) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = await app.request(path, { method, ...(body === undefined ? {} : { body: text }) });
    return { status: response.status, text: await response.text() };
  };
  return { faults, ask, story };
}

test("faults that are set hold until others are, and are told in the story", async () => {
  const { faults, ask, story } = running();
  const { status } = await ask("/faults", "PUT", {
    refuse: [{ action: "DescribeInstances", code: "Throttling" }],
    noCapacity: { group: "docs" },
    staleMs: 2_000,
    shutdownMs: 3_000,
    attachingMs: 4_000,
  });
  expect(status).toBe(200);
  expect(faults.refuse(call("DescribeInstances"))).toMatchObject({ code: "Throttling" });
  expect(faults.refuse(call("RunInstances"))).toBeUndefined();
  expect(faults.noCapacity(order("docs"))).toContain("sufficient capacity");
  expect(faults.noCapacity(order("mail"))).toBeUndefined();
  expect([faults.staleMs(), faults.shutdownMs("i-1"), faults.attachingMs("vol-1")]).toEqual([2_000, 3_000, 4_000]);
  expect(JSON.parse((await ask("/faults")).text)).toMatchObject({ staleMs: 2_000, noCapacity: { group: "docs" } });
  expect(story.happenings.at(-1)?.text).toContain('"staleMs":2000');

  await ask("/faults", "PUT", { attachingMs: 5 });
  expect([faults.staleMs(), faults.attachingMs("vol-1"), faults.noCapacity(order("docs"))]).toEqual([0, 5, undefined]);
  await ask("/faults", "DELETE");
  expect(faults.attachingMs("vol-1")).toBe(0);
});

test("a share of the calls is refused, and no more", () => {
  const faults = noFaults();
  const chances = [0.1, 0.29, 0.31, 0.9];
  const settings = { refuse: [{ code: "RequestLimitExceeded", message: "", percent: 30 }] };
  setFaults(
    faults,
    { ...settings, noCapacity: null, staleMs: 0, shutdownMs: 0, attachingMs: 0 },
    () => chances.shift() ?? 1,
  );
  expect([1, 2, 3, 4].map(() => faults.refuse(call("RunInstances")) !== undefined)).toEqual([true, true, false, false]);
});

test.each([
  [{ staleMs: -1 }, "staleMs: "],
  [{ stale: 1 }, "stale"],
  [{ refuse: [{ percent: 200 }] }, "refuse.0.percent: "],
  ["{", "faults: "],
])("%j is refused by field, and changes nothing", async (given, expected) => {
  const { faults, ask } = running();
  await ask("/faults", "PUT", { staleMs: 7 });
  const { status, text } = await ask("/faults", "PUT", given);
  expect(status).toBe(400);
  expect(JSON.parse(text).error).toContain(expected);
  expect(JSON.parse(text).error).toContain("there are refuse, noCapacity, staleMs, shutdownMs, attachingMs");
  expect(faults.staleMs()).toBe(7);
});

test("nodes, their shells and their logs are told; a node that is not there is refused with those that are", async () => {
  const { ask } = running();
  expect(JSON.parse((await ask("/nodes")).text)).toEqual([
    { name: "01", state: "in service", instance: "i-1", shell: ["podman", "exec", "i-1"] },
  ]);
  expect((await ask("/logs?node=01")).text).toContain("login:");
  expect(await ask("/logs?node=07")).toMatchObject({ status: 404, text: expect.stringContaining("there are 01") });
  expect(await ask("/abandon?node=07", "POST")).toMatchObject({ status: 404 });
});

test("a rehearsal is found while its program runs; which is meant has to be clear", async () => {
  await expect(findSession(undefined, scratch.path)).rejects.toThrow("no rehearsal runs");
  const end = await announce("orders", "http://127.0.0.1:1001", scratch.path);
  expect(await findSession(undefined, scratch.path)).toMatchObject({ deployment: "orders" });
  await announce("events", "http://127.0.0.1:1002", scratch.path);
  await expect(findSession(undefined, scratch.path)).rejects.toThrow("several rehearsals run");
  expect(await findSession("events", scratch.path)).toMatchObject({ url: "http://127.0.0.1:1002" });
  await expect(findSession("zookeeper", scratch.path)).rejects.toThrow("no rehearsal of zookeeper runs");
  end();
  expect(await findSession(undefined, scratch.path)).toMatchObject({ deployment: "events" });
  scratch.write("9-9.json", JSON.stringify({ deployment: "dead", url: "http://127.0.0.1:9", owner: "1 1" }));
  expect(await findSession(undefined, scratch.path)).toMatchObject({ deployment: "events" });
});
