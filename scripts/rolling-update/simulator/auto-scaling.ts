import { type Activity, CloudError, type Group, type Hook } from "../cloud";
import { type Ec2, LaunchRefused } from "./ec2";
import { Timeline } from "./timeline";
import type { Scheduler } from "./virtual-clock";

export interface AutoScalingTimings {
  /** From noticing that an instance is missing to asking EC2 for one. */
  noticeMs: number;
  /**
   * Pause after a failed launch, doubled up to the longest. AWS documents that failing launches are slowed down, not
   * by how much: https://docs.aws.amazon.com/autoscaling/ec2/userguide/CHAP_Troubleshooting.html
   */
  firstBackOffMs: number;
  longestBackOffMs: number;
  /** From the end of an instance the group did not terminate to the health check that sees it. */
  healthCheckMs: number;
}

interface GroupState {
  readonly view: Timeline<Group>;
  readonly hooks: Map<string, Hook>;
  readonly activities: Timeline<{ readonly list: readonly Activity[] }>;
  attemptPlanned: boolean;
  notBefore: number;
  backOffMs: number;
}

interface Wait {
  readonly group: string;
  readonly hook: Hook;
  readonly globalEnd: number;
  deadline: number;
}

/**
 * Auto Scaling groups: keep the desired number of instances, run lifecycle hooks, write scaling activities.
 * States: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
 */
export class AutoScaling {
  readonly groups = new Map<string, GroupState>();
  readonly #waits = new Map<string, Wait>();
  readonly #groupOf = new Map<string, string>();
  #activityCount = 0;
  /** Told when an instance begins to wait in its launch hook, or enters service without one: the guest is booting. */
  onBoot: (instanceId: string, groupName: string) => void = () => {};
  onInService: (instanceId: string) => void = () => {};
  onTerminating: (instanceId: string) => void = () => {};

  constructor(
    private readonly scheduler: Scheduler,
    private readonly ec2: Ec2,
    private readonly timings: AutoScalingTimings,
  ) {
    ec2.onTerminated = (instanceId) => this.#instanceEnded(instanceId);
  }

  addGroup(group: Group, hooks: readonly Hook[]): void {
    this.groups.set(group.name, {
      view: new Timeline(this.scheduler, group),
      hooks: new Map(hooks.map((hook) => [hook.name, hook])),
      activities: new Timeline<{ readonly list: readonly Activity[] }>(this.scheduler, { list: [] }),
      attemptPlanned: false,
      notBefore: 0,
      backOffMs: 0,
    });
    this.#reconcile(group.name);
  }

  /**
   * A suspended Launch keeps the group from adding instances; the others of its processes go on.
   * https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html
   */
  suspend(groupName: string, processName: string): void {
    const { view } = this.#group(groupName, "SuspendProcesses");
    if (!view.current.suspended.includes(processName)) {
      view.set({ suspended: [...view.current.suspended, processName] });
    }
  }

  /** "When you resume the Launch process, EC2 Auto Scaling immediately replaces": same page as suspend. */
  resume(groupName: string, processName: string): void {
    const group = this.#group(groupName, "ResumeProcesses");
    if (!group.view.current.suspended.includes(processName)) return;
    group.view.set({ suspended: group.view.current.suspended.filter((name) => name !== processName) });
    if (processName === "Launch") group.notBefore = 0;
    this.#reconcile(groupName);
  }

  /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html */
  update(groupName: string, change: Partial<Pick<Group, "min" | "max" | "desired" | "template">>): void {
    this.#group(groupName, "UpdateAutoScalingGroup").view.set(change);
    this.#reconcile(groupName);
  }

  /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_TerminateInstanceInAutoScalingGroup.html */
  terminate(instanceId: string, decrementDesired: boolean): void {
    const groupName = this.#groupOf.get(instanceId);
    const group = groupName === undefined ? undefined : this.groups.get(groupName);
    if (!group || groupName === undefined) {
      throw new CloudError(
        "TerminateInstanceInAutoScalingGroup",
        "ValidationError",
        `Instance Id not found - No managed instance found for instance ID: ${instanceId}`,
      );
    }
    const { min, desired } = group.view.current;
    if (decrementDesired && desired <= min) {
      throw new CloudError(
        "TerminateInstanceInAutoScalingGroup",
        "ValidationError",
        `Currently, desiredSize equals minSize (${min}). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.`,
      );
    }
    if (decrementDesired) group.view.set({ desired: desired - 1 });
    this.#beginTermination(
      groupName,
      instanceId,
      `instance ${instanceId} was taken out of service in response to a user request`,
    );
  }

  /**
   * CONTINUE on launch puts the instance into service; ABANDON on launch terminates it; either ends a termination hook.
   * https://docs.aws.amazon.com/autoscaling/ec2/userguide/completing-lifecycle-hooks.html
   */
  completeHook(groupName: string, hookName: string, instanceId: string, result: "CONTINUE" | "ABANDON"): void {
    const wait = this.#waits.get(instanceId);
    if (!wait || wait.group !== groupName || wait.hook.name !== hookName) {
      throw new CloudError(
        "CompleteLifecycleAction",
        "ValidationError",
        `No active Lifecycle Action found with instance ID ${instanceId}`,
      );
    }
    this.#endWait(instanceId, wait, result);
  }

  /** Restarts the heartbeat clock; the global timeout stays. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RecordLifecycleActionHeartbeat.html */
  heartbeat(groupName: string, hookName: string, instanceId: string): void {
    const wait = this.#waits.get(instanceId);
    if (!wait || wait.group !== groupName || wait.hook.name !== hookName) {
      throw new CloudError(
        "RecordLifecycleActionHeartbeat",
        "ValidationError",
        `No active Lifecycle Action found with instance ID ${instanceId}`,
      );
    }
    wait.deadline = this.scheduler.now() + wait.hook.heartbeatMs;
  }

  /** A health check found the instance gone or impaired: replaced when ReplaceUnhealthy runs. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-health-checks.html */
  markUnhealthy(instanceId: string): void {
    const groupName = this.#groupOf.get(instanceId);
    if (groupName === undefined) return;
    this.#setMember(groupName, instanceId, { healthy: false });
    this.#beginTermination(
      groupName,
      instanceId,
      `instance ${instanceId} was taken out of service in response to an EC2 health check`,
    );
  }

  lifecycleOf(instanceId: string): string | undefined {
    const groupName = this.#groupOf.get(instanceId);
    const group = groupName === undefined ? undefined : this.groups.get(groupName);
    return group?.view.current.instances.find(({ id }) => id === instanceId)?.lifecycle;
  }

  /** The group keeps its desired number: instances that are on their way out do not count, so a replacement may start beside them. */
  #reconcile(groupName: string): void {
    const group = this.groups.get(groupName);
    if (!group || group.attemptPlanned || !this.#wantsInstance(group)) return;
    group.attemptPlanned = true;
    const delay = Math.max(this.timings.noticeMs, group.notBefore - this.scheduler.now());
    this.scheduler.after(delay, () => {
      group.attemptPlanned = false;
      if (!this.#wantsInstance(group)) return;
      if (this.scheduler.now() >= group.notBefore) this.#launch(groupName, group);
      this.#reconcile(groupName);
    });
  }

  #wantsInstance({ view }: GroupState): boolean {
    const { instances, desired, suspended } = view.current;
    const counted = instances.filter(({ lifecycle }) => !lifecycle.startsWith("Terminating"));
    return counted.length < desired && !suspended.includes("Launch");
  }

  #launch(groupName: string, group: GroupState): void {
    const { template: reference, zones, tags } = group.view.current;
    const activity = this.#addActivity(group, "PreInService", "Launching a new EC2 instance");
    let id: string;
    try {
      const template = this.ec2.template(reference?.id ?? "", reference?.version);
      id = this.ec2.launch(template, zones[0] ?? "", tags);
      this.#groupOf.set(id, groupName);
      group.view.set({
        instances: [
          ...group.view.current.instances,
          { id, lifecycle: "Pending", healthy: true, template: { id: template.id, version: String(template.version) } },
        ],
      });
    } catch (error) {
      if (!(error instanceof LaunchRefused) && !(error instanceof CloudError)) throw error;
      this.#setActivity(group, activity, "Failed", `${error.message} Launching EC2 instance failed.`);
      this.#slowDown(group);
      return;
    }
    this.#whenRunning(id, () => {
      const hook = [...group.hooks.values()].find(({ transition }) => transition === "launching");
      if (hook) {
        this.#setMember(groupName, id, { lifecycle: "Pending:Wait" });
        this.#setActivity(group, activity, "MidLifecycleAction", "");
        this.#startWait(groupName, id, hook, activity);
      } else {
        this.#enterService(groupName, id, activity);
      }
      this.onBoot(id, groupName);
    });
  }

  #whenRunning(id: string, then: () => void): void {
    this.scheduler.after(1_000, () => {
      const state = this.ec2.state(id);
      if (state === "pending") this.#whenRunning(id, then);
      else if (state === "running") then();
    });
  }

  #activityOfWait = new Map<string, string>();

  #startWait(groupName: string, instanceId: string, hook: Hook, activity: string): void {
    const now = this.scheduler.now();
    const wait = { group: groupName, hook, globalEnd: now + hook.globalMs, deadline: now + hook.heartbeatMs };
    this.#waits.set(instanceId, wait);
    this.#activityOfWait.set(instanceId, activity);
    this.#watchWait(instanceId, wait);
  }

  /** A heartbeat that runs out ends the hook with its default result, here always ABANDON. */
  #watchWait(instanceId: string, wait: Wait): void {
    const end = Math.min(wait.deadline, wait.globalEnd);
    this.scheduler.after(end - this.scheduler.now(), () => {
      if (this.#waits.get(instanceId) !== wait) return;
      if (this.scheduler.now() < Math.min(wait.deadline, wait.globalEnd)) this.#watchWait(instanceId, wait);
      else this.#endWait(instanceId, wait, "ABANDON");
    });
  }

  #endWait(instanceId: string, wait: Wait, result: "CONTINUE" | "ABANDON"): void {
    this.#waits.delete(instanceId);
    const group = this.groups.get(wait.group);
    const activity = this.#activityOfWait.get(instanceId) ?? "";
    if (!group) return;
    if (wait.hook.transition === "terminating") {
      this.#setMember(wait.group, instanceId, { lifecycle: "Terminating:Proceed" });
      this.ec2.terminate(instanceId);
    } else if (result === "CONTINUE") {
      this.#setMember(wait.group, instanceId, { lifecycle: "Pending:Proceed" });
      this.scheduler.after(1_000, () => {
        if (this.lifecycleOf(instanceId) === "Pending:Proceed") this.#enterService(wait.group, instanceId, activity);
      });
    } else {
      this.#setActivity(
        group,
        activity,
        "Cancelled",
        `Instance failed to complete user's Lifecycle Action: Lifecycle Action with token was abandoned: Lifecycle Action Completed with ABANDON Result`,
      );
      this.#slowDown(group);
      this.#beginTermination(
        wait.group,
        instanceId,
        `instance ${instanceId} was taken out of service after its lifecycle action was abandoned`,
      );
    }
  }

  #enterService(groupName: string, instanceId: string, activity: string): void {
    const group = this.groups.get(groupName);
    if (!group) return;
    this.#setMember(groupName, instanceId, { lifecycle: "InService" });
    this.#setActivity(group, activity, "Successful", "");
    group.backOffMs = 0;
    this.onInService(instanceId);
  }

  #beginTermination(groupName: string, instanceId: string, cause: string): void {
    const group = this.groups.get(groupName);
    const lifecycle = this.lifecycleOf(instanceId);
    if (!group || lifecycle === undefined || lifecycle.startsWith("Terminating")) return;
    if (group.view.current.suspended.includes("Terminate")) return;
    this.onTerminating(instanceId);
    const interrupted = this.#waits.get(instanceId);
    if (interrupted) {
      this.#waits.delete(instanceId);
      this.#setActivity(group, this.#activityOfWait.get(instanceId) ?? "", "Cancelled", cause);
    }
    this.#addActivity(group, "InProgress", `Terminating EC2 instance: ${instanceId}`);
    const hook = [...group.hooks.values()].find(({ transition }) => transition === "terminating");
    if (hook && lifecycle === "InService" && this.ec2.state(instanceId) === "running") {
      this.#setMember(groupName, instanceId, { lifecycle: "Terminating:Wait" });
      this.#startWait(groupName, instanceId, hook, "");
    } else {
      this.#setMember(groupName, instanceId, { lifecycle: "Terminating" });
      this.ec2.terminate(instanceId);
    }
    this.#reconcile(groupName);
  }

  /** An instance the group terminated leaves it at once; one that ended by itself stays listed until a health check. */
  #instanceEnded(instanceId: string): void {
    if (this.lifecycleOf(instanceId)?.startsWith("Terminating")) this.#remove(instanceId);
    else this.scheduler.after(this.timings.healthCheckMs, () => this.#remove(instanceId));
  }

  #remove(instanceId: string): void {
    const groupName = this.#groupOf.get(instanceId);
    const group = groupName === undefined ? undefined : this.groups.get(groupName);
    if (!group || groupName === undefined) return;
    this.#waits.delete(instanceId);
    group.view.set({ instances: group.view.current.instances.filter(({ id }) => id !== instanceId) });
    this.#reconcile(groupName);
  }

  #slowDown(group: GroupState): void {
    group.backOffMs = Math.min(
      Math.max(group.backOffMs * 2, this.timings.firstBackOffMs),
      this.timings.longestBackOffMs,
    );
    group.notBefore = this.scheduler.now() + group.backOffMs;
  }

  #setMember(groupName: string, instanceId: string, change: { lifecycle?: string; healthy?: boolean }): void {
    const group = this.groups.get(groupName);
    group?.view.set({
      instances: group.view.current.instances.map((member) =>
        member.id === instanceId ? { ...member, ...change } : member,
      ),
    });
  }

  #addActivity(group: GroupState, status: string, description: string): string {
    const id = `activity-${++this.#activityCount}`;
    const activity = { id, status, startedMs: this.scheduler.now(), description, message: "" };
    group.activities.set({ list: [activity, ...group.activities.current.list] });
    return id;
  }

  #setActivity(group: GroupState, id: string, status: string, message: string): void {
    group.activities.set({
      list: group.activities.current.list.map((activity) =>
        activity.id === id ? { ...activity, status, message } : activity,
      ),
    });
  }

  #group(name: string, action: string): GroupState {
    const group = this.groups.get(name);
    if (!group)
      throw new CloudError(
        action,
        "ValidationError",
        `AutoScalingGroup name not found - AutoScalingGroup '${name}' not found`,
      );
    return group;
  }
}
