import { validationError } from "../aws-error";
import type { Timeline } from "../timeline";
import type { ActivityLog } from "./activity-log";
import type { LaunchChoice } from "./choices";
import type { LifecycleHook, Member, ScalingGroup } from "./group";

export interface GroupState {
  readonly view: Timeline<ScalingGroup>;
  readonly hooks: Map<string, LifecycleHook>;
  readonly activities: ActivityLog;
  /** Instances that an instance refresh launches beyond the desired number. */
  surplus: number;
  /** Launches that EC2 has not answered. */
  readonly begun: Set<LaunchChoice>;
  attemptPlanned: boolean;
  notBefore: number;
  backOffMs: number;
}

/** Auto Scaling groups with their instances, and the activity that each instance's launch or termination is told by. */
export class Groups {
  readonly byName = new Map<string, GroupState>();
  readonly #groupOf = new Map<string, GroupState>();
  readonly #activityOf = new Map<string, string>();

  /** @throws AwsError ValidationError where there is none. */
  named(name: string): GroupState {
    const group = this.byName.get(name);
    if (!group) throw validationError(`AutoScalingGroup name not found - AutoScalingGroup '${name}' not found`);
    return group;
  }

  exists(group: GroupState): boolean {
    return this.byName.get(group.view.current.name) === group;
  }

  /** The group that an instance belongs to. */
  of(instanceId: string): GroupState | undefined {
    const group = this.#groupOf.get(instanceId);
    return group && this.exists(group) ? group : undefined;
  }

  member(instanceId: string): Member | undefined {
    return this.of(instanceId)?.view.current.instances.find(({ id }) => id === instanceId);
  }

  lifecycleOf(instanceId: string): string | undefined {
    return this.member(instanceId)?.lifecycle;
  }

  add(group: GroupState, member: Member, activity: string): void {
    this.#groupOf.set(member.id, group);
    this.#activityOf.set(member.id, activity);
    group.view.set({ instances: [...group.view.current.instances, member] });
  }

  set(instanceId: string, change: Partial<Member>): void {
    const group = this.of(instanceId);
    group?.view.set({
      instances: group.view.current.instances.map((member) =>
        member.id === instanceId ? { ...member, ...change } : member,
      ),
    });
  }

  remove(instanceId: string): void {
    const group = this.of(instanceId);
    group?.view.set({ instances: group.view.current.instances.filter(({ id }) => id !== instanceId) });
    this.#groupOf.delete(instanceId);
    this.#activityOf.delete(instanceId);
  }

  /** From now on the instance is told of by this activity of its group. */
  tellBy(instanceId: string, activity: string): void {
    this.#activityOf.set(instanceId, activity);
  }

  /** What has become of the instance, in the activity that it is told by. */
  tell(instanceId: string, status: string, message?: string): void {
    const activity = this.#activityOf.get(instanceId) ?? "";
    this.of(instanceId)?.activities.set(activity, status, message === undefined ? {} : { message });
  }
}

export function hooksOf({ hooks }: GroupState, transition: LifecycleHook["transition"]): LifecycleHook[] {
  return [...hooks.values()].filter((hook) => hook.transition === transition);
}
