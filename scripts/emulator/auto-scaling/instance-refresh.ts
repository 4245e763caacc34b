import { AwsError } from "../aws-error";
import type { Scheduler } from "../scheduler";
import type { AutoScalingRules } from "./auto-scaling-rules";
import { counts } from "./choices";
import type { GroupChange, Member, ScalingGroup } from "./group";

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html */
export interface RefreshPreferences {
  readonly minHealthyPercent: number;
  readonly maxHealthyPercent: number;
  readonly warmupMs: number;
  /** In percent of the instances to replace, rising. */
  readonly checkpoints: readonly number[];
  readonly checkpointDelayMs: number;
  readonly skipMatching: boolean;
  readonly autoRollback: boolean;
  readonly protectedInstances: "Refresh" | "Ignore" | "Wait";
}

export type RefreshStatus =
  | "Pending"
  | "InProgress"
  | "Successful"
  | "Failed"
  | "Cancelling"
  | "Cancelled"
  | "RollbackInProgress"
  | "RollbackFailed"
  | "RollbackSuccessful";

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRefresh.html */
export interface InstanceRefresh {
  readonly id: string;
  readonly group: string;
  readonly preferences: RefreshPreferences;
  readonly startedMs: number;
  status: RefreshStatus;
  reason: string;
  percentComplete: number;
  instancesToUpdate: number;
  endedMs?: number;
}

/** What a refresh changes its group to, and what it goes back to. */
export interface RefreshTarget {
  readonly apply: GroupChange;
  readonly restore: GroupChange;
  /** Told once the group is what it was. */
  readonly restored: () => void;
}

/** Whether an instance is what its group would launch now: what a template's version stands for, EC2 knows. */
export type MatchesGroup = (group: ScalingGroup, member: Member) => Promise<boolean>;

interface Run {
  readonly refresh: InstanceRefresh;
  readonly target: RefreshTarget | undefined;
  /** Instances that this refresh is to replace and has not yet begun to. */
  readonly left: Set<string>;
  total: number;
  checkpointsPassed: number;
  heldUntilMs: number;
  progressMs: number;
}

export interface RefreshTimings {
  /** Between two looks at the group. */
  readonly stepMs: number;
  /** Without progress for so long, a refresh fails. https://docs.aws.amazon.com/autoscaling/ec2/userguide/understand-instance-refresh-default-values.html */
  readonly stuckMs: number;
}

const OVER: readonly RefreshStatus[] = ["Successful", "Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful"];

/**
 * Replaces the instances of a group within the bounds of how many must be, and may be, healthy.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html
 */
export class InstanceRefreshes {
  readonly #runs: Run[] = [];
  #count = 0;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly groups: AutoScalingRules,
    private readonly matches: MatchesGroup,
    private readonly timings: RefreshTimings,
  ) {}

  /** A group's refreshes, newest first. */
  of(groupName: string): InstanceRefresh[] {
    return this.#runs.flatMap(({ refresh }) => (refresh.group === groupName ? refresh : [])).reverse();
  }

  /**
   * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_StartInstanceRefresh.html
   *
   * @throws AwsError InstanceRefreshInProgress
   */
  async start(groupName: string, preferences: RefreshPreferences, target?: RefreshTarget): Promise<InstanceRefresh> {
    const { view } = this.groups.group(groupName);
    if (this.#active(groupName)) {
      throw new AwsError(
        "InstanceRefreshInProgress",
        "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
      );
    }
    const now = this.scheduler.now();
    const refresh: InstanceRefresh = {
      id: `00000000-0000-4000-9000-${(++this.#count).toString(16).padStart(12, "0")}`,
      group: groupName,
      preferences,
      startedMs: now,
      status: "Pending",
      reason: "",
      percentComplete: 0,
      instancesToUpdate: 0,
    };
    const run = {
      refresh,
      target,
      left: new Set<string>(),
      total: 0,
      checkpointsPassed: 0,
      heldUntilMs: 0,
      progressMs: now,
    };
    this.#runs.push(run);
    if (target) this.groups.update(groupName, target.apply);
    await this.#plan(run, view.current, preferences.skipMatching);
    refresh.status = "InProgress";
    this.#step(run);
    return refresh;
  }

  /**
   * Instances that are being replaced are replaced; no others follow.
   * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CancelInstanceRefresh.html
   *
   * @throws AwsError ActiveInstanceRefreshNotFound
   */
  cancel(groupName: string): InstanceRefresh {
    const run = this.#require(groupName);
    run.refresh.status = "Cancelling";
    run.left.clear();
    return run.refresh;
  }

  /**
   * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RollbackInstanceRefresh.html
   *
   * @throws AwsError ActiveInstanceRefreshNotFound, IrreversibleInstanceRefresh
   */
  async rollback(
    groupName: string,
    reason = "The instance refresh was rolled back by a user.",
  ): Promise<InstanceRefresh> {
    const run = this.#require(groupName);
    if (!run.target) {
      throw new AwsError(
        "IrreversibleInstanceRefresh",
        "The instance refresh has no desired configuration to go back from.",
      );
    }
    run.refresh.status = "RollbackInProgress";
    run.refresh.reason = reason;
    run.progressMs = this.scheduler.now();
    this.groups.update(groupName, run.target.restore);
    run.target.restored();
    await this.#plan(run, this.groups.group(groupName).view.current, true);
    return run.refresh;
  }

  async #plan(run: Run, group: ScalingGroup, skipMatching: boolean): Promise<void> {
    const stale: string[] = [];
    for (const member of group.instances.filter(counts)) {
      const ignored = member.protectedFromScaleIn && run.refresh.preferences.protectedInstances === "Ignore";
      if (!ignored && !(skipMatching && (await this.matches(group, member)))) stale.push(member.id);
    }
    // At once: a step meanwhile must not find that nothing is left.
    run.left.clear();
    for (const id of stale) run.left.add(id);
    run.total = run.left.size;
    run.checkpointsPassed = 0;
    run.heldUntilMs = 0;
    run.refresh.instancesToUpdate = run.total;
  }

  #step(run: Run): void {
    if (OVER.includes(run.refresh.status)) return;
    const group = this.groups.groups.get(run.refresh.group);
    if (!group) {
      this.#end(run, "Cancelled", "The group was deleted.");
      return;
    }
    const { current } = group.view;
    const present = new Set(current.instances.filter(counts).map(({ id }) => id));
    for (const id of run.left) {
      if (!present.has(id)) run.left.delete(id);
    }
    const fresh = current.instances.filter((member) => counts(member) && !run.left.has(member.id));
    const ready = fresh.filter((member) => this.#isReady(member, run));
    const lacking = Math.max(0, current.desired - present.size);
    this.#measure(run, fresh.length - ready.length + lacking);

    if (run.left.size === 0) this.#finish(run, current, ready.length);
    else if (!current.suspended.includes("Launch") && !current.suspended.includes("InstanceRefresh")) {
      this.#replace(run, current, ready.length);
    }
    if (this.#isStuck(run)) this.#giveUp(run);
    if (!OVER.includes(run.refresh.status)) this.scheduler.after(this.timings.stepMs, () => this.#step(run));
  }

  /** How far it is: an instance counts once its replacement is warm. */
  #measure(run: Run, cold: number): void {
    const { refresh, total } = run;
    const done = Math.max(0, total - run.left.size - cold);
    const percent = total === 0 ? 100 : Math.floor((100 * done) / total);
    if (refresh.status !== "RollbackInProgress" && percent > refresh.percentComplete) {
      refresh.percentComplete = percent;
      run.progressMs = this.scheduler.now();
    }
    refresh.instancesToUpdate = total - done;
    const next = refresh.preferences.checkpoints[run.checkpointsPassed];
    if (refresh.status === "InProgress" && next !== undefined && next < 100 && percent >= next) {
      run.checkpointsPassed++;
      run.heldUntilMs = this.scheduler.now() + refresh.preferences.checkpointDelayMs;
      refresh.reason = `Waiting for ${refresh.preferences.checkpointDelayMs / 1_000} seconds at the checkpoint of ${next} percent.`;
    }
  }

  /**
   * With room above the desired number, new instances start first; without, old ones go as far as the minimum allows, and
   * where it allows none, one does.
   */
  #replace(run: Run, group: ScalingGroup, ready: number): void {
    const { preferences } = run.refresh;
    if (this.scheduler.now() < run.heldUntilMs) return;
    const most = Math.max(group.desired, Math.floor((group.desired * preferences.maxHealthyPercent) / 100));
    const room = preferences.maxHealthyPercent > 100 ? Math.max(1, most - group.desired) : 0;
    const least = Math.ceil((group.desired * preferences.minHealthyPercent) / 100);
    const old = group.instances.filter(({ id }) => run.left.has(id));
    const healthy = ready + old.filter(({ lifecycle, healthy }) => lifecycle === "InService" && healthy).length;
    const idle = group.instances.every((member) => run.left.has(member.id) || this.#isReady(member, run));
    const spare = healthy - least;
    const allowed = spare > 0 ? spare : room === 0 && idle && healthy >= group.desired ? 1 : 0;
    const going = old.filter(
      ({ protectedFromScaleIn }) => !protectedFromScaleIn || preferences.protectedInstances === "Refresh",
    );
    for (const { id } of going.slice(0, Math.min(allowed, this.#untilCheckpoint(run)))) {
      run.left.delete(id);
      this.groups.replace(id, "an instance refresh");
    }
    this.groups.setSurplus(group.name, Math.min(room, run.left.size, going.length));
  }

  /** No more at a time than take it to its next checkpoint. */
  #untilCheckpoint({ refresh, left, total, checkpointsPassed }: Run): number {
    const next = refresh.preferences.checkpoints[checkpointsPassed];
    if (next === undefined || refresh.status !== "InProgress") return left.size;
    return Math.max(0, Math.ceil((total * next) / 100) - (total - left.size));
  }

  #finish(run: Run, group: ScalingGroup, ready: number): void {
    this.groups.setSurplus(group.name, 0);
    if (run.refresh.status === "Cancelling") this.#end(run, "Cancelled", "Cancelled by user.");
    else if (ready >= group.desired) {
      const back = run.refresh.status === "RollbackInProgress";
      this.#end(run, back ? "RollbackSuccessful" : "Successful", run.refresh.reason);
    }
  }

  #isReady(member: Member, { refresh: { preferences } }: Run): boolean {
    const warmMs = (member.inServiceMs ?? Number.POSITIVE_INFINITY) + preferences.warmupMs;
    return member.lifecycle === "InService" && member.healthy && warmMs <= this.scheduler.now();
  }

  #isStuck({ progressMs, heldUntilMs, refresh }: Run): boolean {
    const since = Math.max(progressMs, heldUntilMs);
    return !OVER.includes(refresh.status) && this.scheduler.now() - since >= this.timings.stuckMs;
  }

  #giveUp(run: Run): void {
    const reason = `The instance refresh made no progress for ${this.timings.stuckMs / 60_000} minutes.`;
    if (run.refresh.status === "RollbackInProgress") this.#end(run, "RollbackFailed", reason);
    else if (run.refresh.preferences.autoRollback && run.target) {
      this.rollback(run.refresh.group, reason).catch((error: Error) => this.#end(run, "RollbackFailed", error.message));
    } else {
      this.#end(run, "Failed", reason);
    }
  }

  #end({ refresh }: Run, status: RefreshStatus, reason: string): void {
    refresh.status = status;
    refresh.reason = reason;
    refresh.endedMs = this.scheduler.now();
    if (status === "Successful" || status === "RollbackSuccessful") refresh.percentComplete = 100;
    if (this.groups.groups.has(refresh.group)) this.groups.setSurplus(refresh.group, 0);
  }

  #active(groupName: string): Run | undefined {
    return this.#runs.find(({ refresh }) => refresh.group === groupName && !OVER.includes(refresh.status));
  }

  #require(groupName: string): Run {
    this.groups.group(groupName);
    const run = this.#active(groupName);
    if (run) return run;
    throw new AwsError(
      "ActiveInstanceRefreshNotFound",
      `No in progress or pending Instance Refresh found for Auto Scaling group ${groupName}`,
    );
  }
}
