import { counts, scaleIn } from "./choices";
import { type GroupState, hooksOf } from "./groups";
import type { RuleContext } from "./rule-context";

/** How groups lose instances: for a cause that their activity shows, through the termination hooks, and off the list. */
export class Terminations {
  /** @param terminating told when an instance's termination begins. */
  constructor(
    private readonly context: RuleContext,
    private readonly terminating: (instanceId: string) => void,
  ) {}

  /** Ends what a group has beyond its desired number. */
  shrink(group: GroupState): void {
    const { instances, desired } = group.view.current;
    const excess = instances.filter(counts).length + group.begun.size - desired - group.surplus;
    if (excess <= 0) return;
    for (const id of scaleIn(group.view.current, excess)) {
      this.begin(
        id,
        `a difference between desired and actual capacity, shrinking the capacity. instance ${id} was selected for termination`,
      );
    }
  }

  /** Takes an instance out of service, for a reason that its activity is to show. */
  takeOut(instanceId: string, reason: string): void {
    this.begin(instanceId, `instance ${instanceId} was taken out of service ${reason}`);
  }

  begin(instanceId: string, cause: string): void {
    const { groups, capacity, reconcile, wait, cancelWait } = this.context;
    const group = groups.of(instanceId);
    const lifecycle = groups.lifecycleOf(instanceId);
    if (!group || lifecycle === undefined || lifecycle.startsWith("Terminating")) return;
    if (group.view.current.suspended.includes("Terminate")) return;
    this.terminating(instanceId);
    cancelWait(instanceId);
    if (isLaunching(lifecycle)) groups.tell(instanceId, "Cancelled", cause);
    groups.tellBy(instanceId, group.activities.add("InProgress", `Terminating EC2 instance: ${instanceId}`, cause));
    const hooks = hooksOf(group, "terminating");
    if (hooks.length > 0 && lifecycle === "InService" && capacity.state(instanceId) === "running") {
      groups.set(instanceId, { lifecycle: "Terminating:Wait" });
      wait(group, instanceId, hooks);
    } else {
      groups.set(instanceId, { lifecycle: "Terminating" });
      capacity.terminate(instanceId);
    }
    reconcile(group);
  }

  /** An instance's termination hooks are over: it ends. */
  proceed(instanceId: string): void {
    this.context.groups.set(instanceId, { lifecycle: "Terminating:Proceed" });
    this.context.capacity.terminate(instanceId);
  }

  /** An instance the group terminated leaves it at once; one that ended by itself stays listed until a health check. */
  ended(instanceId: string): void {
    const { groups, scheduler, timings } = this.context;
    if (groups.lifecycleOf(instanceId)?.startsWith("Terminating")) this.#remove(instanceId);
    else scheduler.after(timings.healthCheckMs, () => this.#remove(instanceId));
  }

  #remove(instanceId: string): void {
    const { groups, reconcile, cancelWait } = this.context;
    const group = groups.of(instanceId);
    if (!group) return;
    cancelWait(instanceId);
    const member = groups.member(instanceId);
    if (!member) return;
    if (member.lifecycle.startsWith("Terminating")) groups.tell(instanceId, "Successful");
    if (isLaunching(member.lifecycle)) groups.tell(instanceId, "Cancelled", ENDED_WHILE_LAUNCHING);
    groups.remove(instanceId);
    reconcile(group);
  }
}

/** An instance whose launch is the activity that it is told by: where it ends before it serves, so does that. */
const isLaunching = (lifecycle: string) => lifecycle.startsWith("Pending");

/** As AWS words it, such as in https://github.com/boxfuse/boxfuse-issues/issues/204 */
const ENDED_WHILE_LAUNCHING = "Instance became unhealthy while waiting for instance to be in InService state.";
