import type { Activity } from "../../../scripts/rolling-update/cloud";
import { factsOf } from "../../../scripts/rolling-update/facts";
import { launchFailure } from "../../../scripts/rolling-update/failures";
import { nextStep, type Replacement } from "../../../scripts/rolling-update/replacement";
import { parseSettings } from "../../../scripts/rolling-update/settings";
import type { NodeView } from "../../../scripts/rolling-update/world";

const launch = (id: string, message: string, instanceId?: string): Activity => ({
  id,
  status: "Failed",
  description: `Launching a new EC2 instance${instanceId ? `: ${instanceId}` : ""}`,
  message,
  startedMs: 1_000,
});
const IN_USE = launch("3", "Interface: [eni-0a] in use. Launching EC2 instance failed.");

const ABANDONED = "Lifecycle Action with token was abandoned: Lifecycle Action Completed with ABANDON Result";

const NODE: Replacement = {
  rollId: "roll",
  node: "00",
  state: "terminating",
  sinceMs: 0,
  startedMs: 0,
  oldInstance: "i-1",
  from: { id: "lt-00", version: 1 },
  to: { id: "lt-00", version: 2 },
  strategy: "suspend-launch",
  held: true,
  drained: false,
  durations: {},
};

/** One turn of the machine for a node whose group shows these instances and activities, the newest first. */
function turn(replacement: Replacement, instances: readonly string[], activities: readonly Activity[]): Replacement {
  const template = { id: "lt-00", version: "2" };
  const members = instances.map((id) => ({ id, lifecycle: "Pending:Wait", healthy: true, template }));
  const view = {
    group: { instances: members },
    instances: new Map(),
    volumes: [],
    activities,
    node: { interfaceId: "eni-0a", volumeIds: [] },
  } as unknown as NodeView;
  const facts = factsOf(replacement, view, [], {
    nowMs: 1_000,
    obstacle: undefined,
    unvalidated: undefined,
    othersUnwell: false,
    drain: "none",
    firingAlarms: [],
    bakeMs: 0,
  });
  return nextStep(replacement, facts, parseSettings({})).after;
}

test("R15: a replacement that its group began before the roll held it is the one whose failure is told", () => {
  const [removed, begun] = [launch("1", ABANDONED, "i-1"), launch("2", "", "i-2")];
  const released = turn(NODE, ["i-2"], [{ ...begun, status: "MidLifecycleAction" }, removed]);
  expect(released.state).toBe("launching");

  const failed = turn(released, [], [IN_USE, { ...begun, message: ABANDONED }, removed]);
  expect(failed).toMatchObject({ state: "failed", failure: { code: "HOOK_ABANDONED" } });
});

test("R15: what else failed or was under way when the roll let the group go is no failure of the launch that comes", () => {
  const underWay = { ...launch("2", ""), status: "PreInService" };
  const abandoned = launch("1", ABANDONED, "i-1");
  const released = turn(
    NODE,
    ["i-2"],
    [{ ...launch("3", "", "i-2"), status: "MidLifecycleAction" }, underWay, abandoned],
  );
  expect(turn(released, ["i-2"], [{ ...underWay, status: "Failed", message: IN_USE.message }, abandoned]).state).toBe(
    "launching",
  );
});

test("R15: a launch that finds the interface at the instance that failed before it does not hide why that one failed", () => {
  const abandoned = launch("1", ABANDONED);
  expect(launchFailure([IN_USE, abandoned], 0, undefined)?.code).toBe("HOOK_ABANDONED");
  expect(launchFailure([IN_USE], 0, undefined)?.code).toBe("INTERFACE_IN_USE");
});
