import { randomUUID } from "node:crypto";
import { validationError } from "../aws-error";
import type { Scheduler } from "../scheduler";
import type { HookResult, LifecycleHook } from "./group";

/** What a call names the wait by: the instance, or the token that the hook's notification carried. */
export interface WaitName {
  readonly group: string;
  readonly hook: string;
  readonly instanceId?: string;
  readonly token?: string;
}

interface Wait {
  readonly group: string;
  readonly instanceId: string;
  readonly hook: LifecycleHook;
  readonly token: string;
  readonly globalEnd: number;
  deadline: number;
}

/**
 * Instances that wait in lifecycle hooks. An instance goes on when the last of its hooks was completed; one ABANDON ends the
 * others with it.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks-overview.html
 */
export class HookWaits {
  readonly #waits = new Map<string, Wait[]>();

  /** @param ended told how an instance's waits have ended. */
  constructor(
    private readonly scheduler: Scheduler,
    private readonly ended: (instanceId: string, transition: LifecycleHook["transition"], result: HookResult) => void,
  ) {}

  start(group: string, instanceId: string, hooks: readonly LifecycleHook[]): void {
    const now = this.scheduler.now();
    const waits = hooks.map((hook) => ({
      group,
      instanceId,
      hook,
      token: randomUUID(),
      globalEnd: now + hook.globalMs,
      deadline: now + hook.heartbeatMs,
    }));
    this.#waits.set(instanceId, waits);
    for (const wait of waits) this.#watch(wait);
  }

  /** Forgets an instance's waits; true where there were any. */
  cancel(instanceId: string): boolean {
    return this.#waits.delete(instanceId);
  }

  /**
   * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CompleteLifecycleAction.html
   *
   * @throws AwsError ValidationError where nothing waits.
   */
  complete(name: WaitName, result: HookResult): void {
    this.#end(this.#find(name), result);
  }

  /**
   * Restarts the heartbeat clock; the global timeout stays.
   * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RecordLifecycleActionHeartbeat.html
   *
   * @throws AwsError ValidationError where nothing waits.
   */
  heartbeat(name: WaitName): void {
    const wait = this.#find(name);
    wait.deadline = this.scheduler.now() + wait.hook.heartbeatMs;
  }

  #find({ group, hook, instanceId, token }: WaitName): Wait {
    const candidates = instanceId === undefined ? [...this.#waits.values()].flat() : this.#waits.get(instanceId);
    const wait = candidates?.find(
      (one) => one.group === group && one.hook.name === hook && (instanceId !== undefined || one.token === token),
    );
    if (wait) return wait;
    throw validationError(
      instanceId === undefined
        ? `No active Lifecycle Action found with token ${token}`
        : `No active Lifecycle Action found with instance ID ${instanceId}`,
    );
  }

  #watch(wait: Wait): void {
    const end = Math.min(wait.deadline, wait.globalEnd);
    this.scheduler.after(end - this.scheduler.now(), () => {
      if (!this.#waits.get(wait.instanceId)?.includes(wait)) return;
      if (this.scheduler.now() < Math.min(wait.deadline, wait.globalEnd)) this.#watch(wait);
      else this.#end(wait, wait.hook.defaultResult ?? "ABANDON");
    });
  }

  #end(wait: Wait, result: HookResult): void {
    const left = (this.#waits.get(wait.instanceId) ?? []).filter((other) => other !== wait);
    if (result === "CONTINUE" && left.length > 0) {
      this.#waits.set(wait.instanceId, left);
      return;
    }
    this.#waits.delete(wait.instanceId);
    this.ended(wait.instanceId, wait.hook.transition, result);
  }
}
