import type { Cloud } from "./cloud";
import { isFailedLaunch, isLaunch } from "./failures";
import { member, type NodeView, type World } from "./world";

const DAY_MS = 24 * 3_600_000;

/** Why a node is waited for that its group brings by itself. */
export const LAUNCHES_BY_ITSELF = "it has no instance; its group launches one by itself";

/**
 * Whether a group launches the instance it lacks without anybody's help, because it is new or lost the one it had: nothing of
 * an old instance is left, Launch is not suspended, and its last launch did not fail.
 */
export async function launchesByItself(cloud: Cloud, { group }: NodeView, nowMs: number): Promise<boolean> {
  if (group.instances.length > 0 || group.desired === 0 || group.suspended.includes("Launch")) return false;
  const activities = await cloud.describeActivities(group.name, nowMs - DAY_MS);
  const last = activities.find(isLaunch);
  return last === undefined || !isFailedLaunch(last);
}

/** A node whose instance is still on its way into service, as all are in the apply that makes a cluster. */
export function booting(world: World, only: readonly string[] | undefined): NodeView | undefined {
  return [...world.values()].find(
    (view) => member(view)?.lifecycle.startsWith("Pending") && (only === undefined || only.includes(view.node.id)),
  );
}
