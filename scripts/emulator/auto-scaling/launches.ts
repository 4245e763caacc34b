import { counts, type LaunchChoice, nextLaunch } from "./choices";
import type { Launched, LaunchRefused, Member } from "./group";
import { type GroupState, hooksOf } from "./groups";
import type { RuleContext } from "./rule-context";

/** How groups get instances: asked of EC2, through the launch hooks, into service; ever later while launches fail. */
export class Launches {
  readonly #stepMs: number;

  /** @param booting told when an instance begins to wait in its launch hook, or enters service without one. */
  constructor(
    private readonly context: RuleContext,
    private readonly booting: (group: GroupState, instanceId: string) => void,
  ) {
    this.#stepMs = context.timings.stepMs ?? 1_000;
  }

  /** Plans to launch what a group lacks. */
  plan(group: GroupState): void {
    if (group.attemptPlanned || missing(group) <= 0) return;
    const { groups, scheduler, timings, reconcile } = this.context;
    group.attemptPlanned = true;
    const delay = Math.max(timings.noticeMs, group.notBefore - scheduler.now());
    scheduler.after(delay, () => {
      group.attemptPlanned = false;
      if (!groups.exists(group)) return;
      while (missing(group) > 0 && scheduler.now() >= group.notBefore) this.#launch(group);
      reconcile(group);
    });
  }

  /** An instance's launch hooks are over: it enters service. */
  proceed(group: GroupState, instanceId: string): void {
    const { groups, scheduler } = this.context;
    groups.set(instanceId, { lifecycle: "Pending:Proceed" });
    scheduler.after(this.#stepMs, () => {
      if (groups.lifecycleOf(instanceId) === "Pending:Proceed") this.#enterService(group, instanceId);
    });
  }

  /** A launch hook of an instance was abandoned. */
  abandoned(group: GroupState, instanceId: string): void {
    this.context.groups.tell(
      instanceId,
      "Cancelled",
      "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token was abandoned: Lifecycle Action Completed with ABANDON Result",
    );
    this.#slowDown(group);
  }

  #launch(group: GroupState): void {
    const { name, zones, subnetIds, tags } = group.view.current;
    const choice = nextLaunch(group.view.current, [...group.begun]);
    const subnetId = subnetIds[choice.place];
    const activity = group.activities.add(
      "PreInService",
      "Launching a new EC2 instance",
      "an instance was started in response to a difference between desired and actual capacity",
    );
    group.begun.add(choice);
    this.context.capacity.launch(
      {
        group: name,
        template: choice.template,
        zone: zones[choice.place] ?? "",
        ...(subnetId === undefined ? {} : { subnetId }),
        ...(choice.instanceType === undefined ? {} : { instanceType: choice.instanceType }),
        spot: choice.spot,
        tags,
      },
      (outcome) => {
        group.begun.delete(choice);
        if ("refused" in outcome) this.#refused(group, activity, outcome);
        else this.#launched(group, activity, choice, outcome);
      },
    );
  }

  #refused(group: GroupState, activity: string, { refused }: LaunchRefused): void {
    group.activities.set(activity, "Failed", { message: `${refused} Launching EC2 instance failed.` });
    this.#slowDown(group);
    this.context.reconcile(group);
  }

  #launched(group: GroupState, activity: string, { spot }: LaunchChoice, launched: Launched): void {
    const { groups, scheduler, capacity, reconcile, wait } = this.context;
    const { id, template, zone, instanceType } = launched;
    if (!groups.exists(group)) {
      capacity.terminate(id);
      return;
    }
    const member: Member = {
      id,
      lifecycle: "Pending",
      healthy: true,
      template,
      zone,
      ...(instanceType === undefined ? {} : { instanceType }),
      spot,
      protectedFromScaleIn: group.view.current.protectsNew ?? false,
      launchedMs: scheduler.now(),
    };
    groups.add(group, member, activity);
    group.activities.set(activity, "PreInService", { description: `Launching a new EC2 instance: ${id}` });
    this.#whenRunning(id, () => {
      if (groups.lifecycleOf(id) !== "Pending") return;
      const hooks = hooksOf(group, "launching");
      if (hooks.length > 0) {
        groups.set(id, { lifecycle: "Pending:Wait" });
        group.activities.set(activity, "MidLifecycleAction");
        wait(group, id, hooks);
      } else {
        this.#enterService(group, id);
      }
      this.booting(group, id);
    });
    reconcile(group);
  }

  #whenRunning(id: string, then: () => void): void {
    this.context.scheduler.after(this.#stepMs, () => {
      const state = this.context.capacity.state(id);
      if (state === "pending") this.#whenRunning(id, then);
      else if (state === "running") then();
    });
  }

  #enterService(group: GroupState, instanceId: string): void {
    const { groups, scheduler } = this.context;
    groups.set(instanceId, { lifecycle: "InService", inServiceMs: scheduler.now() });
    groups.tell(instanceId, "Successful");
    group.backOffMs = 0;
  }

  /** Failures of launches that were asked for together slow the group down once. */
  #slowDown(group: GroupState): void {
    const { scheduler, timings } = this.context;
    if (scheduler.now() < group.notBefore) return;
    group.backOffMs = Math.min(Math.max(group.backOffMs * 2, timings.firstBackOffMs), timings.longestBackOffMs);
    group.notBefore = scheduler.now() + group.backOffMs;
  }
}

function missing({ view, surplus, begun }: GroupState): number {
  const { instances, desired, suspended } = view.current;
  if (suspended.includes("Launch")) return 0;
  return desired + surplus - instances.filter(counts).length - begun.size;
}
