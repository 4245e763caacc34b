import type { LifecycleHook } from "../../../../scripts/emulator/auto-scaling/group";
import { MINUTE_MS, NAME, virtualGroups } from "../../../support/virtual-groups";

const hook = (name: string, change: Partial<LifecycleHook> = {}): LifecycleHook => ({
  name,
  transition: "launching",
  heartbeatMs: 5 * MINUTE_MS,
  globalMs: 500 * MINUTE_MS,
  ...change,
});
const wait = (name: string, instanceId: string) => ({ group: NAME, hook: name, instanceId });

test("a group spreads its instances over its zones, and shrinks out of the fullest, oldest first", async () => {
  const { create, pass, group, groups, inService } = virtualGroups();
  create({ desired: 6 });
  await pass(MINUTE_MS);

  expect(inService().map(({ zone }) => zone)).toEqual(["a", "b", "c", "a", "b", "c"]);

  groups.update(NAME, { desired: 4 });
  await pass(MINUTE_MS);

  expect(
    group()
      .instances.map(({ zone }) => zone)
      .sort(),
  ).toEqual(["a", "b", "c", "c"]);
});

test("an instance that is protected from scale-in stays, and goes once it is not", async () => {
  const { create, pass, groups, inService } = virtualGroups();
  create({ desired: 2, protectsNew: true });
  await pass(MINUTE_MS);

  groups.update(NAME, { desired: 1 });
  await pass(MINUTE_MS);
  expect(inService()).toHaveLength(2);

  groups.protect("i-2", false);
  await pass(MINUTE_MS);
  expect(inService().map(({ id }) => id)).toEqual(["i-1"]);
});

test("Spot follows the On-Demand base in the proportion that the policy gives", async () => {
  const { create, pass, orders } = virtualGroups();
  const overrides = [{ instanceType: "t3.small" }, { instanceType: "t3.medium" }];
  create({
    desired: 6,
    mixed: { template: { id: "lt-1", version: "1" }, overrides, onDemandBase: 2, onDemandPercent: 25 },
  });
  await pass(MINUTE_MS);

  expect(orders.map(({ spot }) => spot)).toEqual([false, false, false, true, true, true]);
  expect(new Set(orders.map(({ instanceType }) => instanceType))).toEqual(new Set(["t3.small"]));
});

test("an instance waits for every one of its hooks, and one ABANDON ends them all", async () => {
  const { create, pass, groups, activities } = virtualGroups();
  create({ desired: 1 }, [hook("volumes"), hook("join")]);
  await pass(MINUTE_MS);

  groups.completeHook(wait("volumes", "i-1"), "CONTINUE");
  await pass(10_000);
  expect(groups.lifecycleOf("i-1")).toBe("Pending:Wait");
  expect(() => groups.completeHook(wait("volumes", "i-1"), "CONTINUE")).toThrow(
    "No active Lifecycle Action found with instance ID i-1",
  );

  groups.completeHook(wait("join", "i-1"), "ABANDON");
  expect(() => groups.heartbeat(wait("join", "i-1"))).toThrow("No active Lifecycle Action found");
  expect(activities().find(({ description }) => description.startsWith("Launching"))).toMatchObject({
    status: "Cancelled",
    message: expect.stringContaining("ABANDON"),
  });
});

test("a heartbeat prolongs a wait; one that runs out ends it with the hook's default result", async () => {
  const { create, pass, groups } = virtualGroups();
  create({ desired: 1 }, [hook("join", { defaultResult: "CONTINUE" })]);
  await pass(4 * MINUTE_MS);
  groups.heartbeat(wait("join", "i-1"));
  await pass(4 * MINUTE_MS);
  expect(groups.lifecycleOf("i-1")).toBe("Pending:Wait");

  await pass(2 * MINUTE_MS);
  expect(groups.lifecycleOf("i-1")).toBe("InService");
});

test("a launch that EC2 refuses is told with EC2's reason, and tried less and less often", async () => {
  const { create, pass, refuse, activities, inService } = virtualGroups();
  refuse("We currently do not have sufficient t3.micro capacity in the Availability Zone you requested (a).");
  create({ desired: 1 });
  await pass(10 * MINUTE_MS);

  const failed = activities();
  expect(new Set(failed.map(({ status }) => status))).toEqual(new Set(["Failed"]));
  expect(failed[0]?.message).toMatch(/^We currently do not have sufficient .* Launching EC2 instance failed\.$/);
  const [last, before, first] = failed.map(({ startedMs }) => startedMs);
  expect((last ?? 0) - (before ?? 0)).toBe(2 * ((before ?? 0) - (first ?? 0)));

  refuse(undefined);
  await pass(15 * MINUTE_MS);
  expect(inService()).toHaveLength(1);
});

test("an instance that ends by itself is replaced once a health check has seen it", async () => {
  const { create, pass, ec2, inService } = virtualGroups();
  create({ desired: 1 });
  await pass(MINUTE_MS);

  ec2.terminate("i-1");
  await pass(40_000);
  expect(inService().map(({ id }) => id)).toEqual(["i-1"]);

  await pass(MINUTE_MS);
  expect(inService().map(({ id }) => id)).toEqual(["i-2"]);
});

test.each([
  ["Pending", 5_000],
  ["Pending:Wait", MINUTE_MS],
])("the launch of an instance that its group ends in %s is cancelled, with the reason", async (lifecycle, afterMs) => {
  const { create, pass, groups, activities } = virtualGroups();
  create({ desired: 1 }, [hook("join")]);
  await pass(afterMs);
  expect(groups.lifecycleOf("i-1")).toBe(lifecycle);

  groups.terminate("i-1", true);
  await pass(MINUTE_MS);

  expect(activities()).toMatchObject([
    { description: "Terminating EC2 instance: i-1", status: "Successful" },
    {
      description: "Launching a new EC2 instance: i-1",
      status: "Cancelled",
      message: "instance i-1 was taken out of service in response to a user request",
      endedMs: expect.any(Number),
    },
  ]);
});

test("the launch of an instance that ends by itself before it serves is cancelled, once a health check has seen it", async () => {
  const { create, pass, ec2, activities } = virtualGroups();
  create({ desired: 1 }, [hook("join")]);
  await pass(MINUTE_MS);
  const launch = () => activities().find(({ description }) => description === "Launching a new EC2 instance: i-1");

  ec2.terminate("i-1");
  await pass(20_000);
  expect(launch()?.status).toBe("MidLifecycleAction");

  await pass(MINUTE_MS);
  expect(launch()).toMatchObject({
    status: "Cancelled",
    message: expect.stringContaining("became unhealthy while waiting for instance to be in InService state"),
  });
});

test("a group is not deleted while it has instances, unless it is told to end them", async () => {
  const { create, pass, groups, ec2 } = virtualGroups();
  create({ desired: 2 });
  await pass(MINUTE_MS);
  const code = (name: string) => expect.objectContaining({ code: name });

  expect(() => groups.delete(NAME, false)).toThrow(code("ResourceInUse"));
  groups.update(NAME, { desired: 0 });
  expect(() => groups.delete(NAME, false)).toThrow(code("ScalingActivityInProgress"));
  await pass(MINUTE_MS);
  groups.delete(NAME, false);

  create({ desired: 1 });
  await pass(MINUTE_MS);
  groups.delete(NAME, true);
  expect(ec2.state("i-3")).toBe("shutting-down");
});

test.each([
  [{ min: 11 }, "Max bound, 10, must be greater than or equal to min bound, 11"],
  [{ desired: 11 }, "Desired capacity:11 must be between the specified min size:0 and max size:10"],
])("sizes that contradict each other are refused: %o", (change, message) => {
  const { create, groups, group } = virtualGroups();
  create({});

  expect(() => groups.update(NAME, change)).toThrow(message);
  expect(group().desired).toBe(3);
});
