import { type Aws, AwsError } from "./aws";
import type { Log } from "./log";
import { reason } from "./log";
import { sleep } from "./waiting";

/** A lifecycle hook that holds this instance in a wait state (Pending:Wait or Terminating:Wait). */
export interface LifecycleHook {
  readonly autoScalingGroupName: string;
  readonly hookName: string;
  readonly instanceId: string;
  /** The hook's HeartbeatTimeout: without a heartbeat the wait ends by itself after that long. */
  readonly heartbeatTimeoutSeconds: number;
}

export type HookResult = "CONTINUE" | "ABANDON";

/**
 * Ends the wait. An instance that no longer waits (the hook timed out, or someone else ended it) is logged, not an error.
 * The instance id stands for the action token.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CompleteLifecycleAction.html
 *
 * @param timeoutMs all attempts together.
 * @throws AwsError if Auto Scaling refuses for another reason, or is not reached in time.
 */
export async function completeHook(
  aws: Aws,
  hook: LifecycleHook,
  result: HookResult,
  log: Log,
  timeoutMs = 60_000,
): Promise<void> {
  try {
    await aws.call(
      "autoscaling",
      "CompleteLifecycleAction",
      { ...hookId(hook), LifecycleActionResult: result },
      { timeoutMs },
    );
    log.info("lifecycle hook completed", { hook: hook.hookName, result });
  } catch (error) {
    if (!isOver(error)) throw error;
    log.warn("lifecycle hook was not waiting", { hook: hook.hookName, result, reason: reason(error) });
  }
}

/**
 * Prolongs the wait until `signal`, or until Auto Scaling says that there is none. A failed heartbeat is logged and
 * the next one is sent in its time: three fit in one timeout.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RecordLifecycleActionHeartbeat.html
 */
export async function prolongHook(aws: Aws, hook: LifecycleHook, log: Log, signal: AbortSignal): Promise<void> {
  for (;;) {
    const periodMs = hookHeartbeatPeriodMs(hook.heartbeatTimeoutSeconds);
    await sleep(periodMs, signal);
    if (signal.aborted) return;
    try {
      await aws.call("autoscaling", "RecordLifecycleActionHeartbeat", hookId(hook), { timeoutMs: periodMs / 2 });
    } catch (error) {
      log.warn("lifecycle hook not prolonged", { hook: hook.hookName, reason: reason(error) });
      if (isOver(error)) return;
    }
  }
}

/** A third of the timeout, 15 minutes at most, up to a tenth less so that a fleet does not call in step. */
export function hookHeartbeatPeriodMs(heartbeatTimeoutSeconds: number, random: () => number = Math.random): number {
  return Math.min(heartbeatTimeoutSeconds / 3, 15 * 60) * 1_000 * (1 - 0.1 * random());
}

const hookId = ({ autoScalingGroupName, hookName, instanceId }: LifecycleHook) => ({
  AutoScalingGroupName: autoScalingGroupName,
  LifecycleHookName: hookName,
  InstanceId: instanceId,
});

const isOver = (error: unknown) => error instanceof AwsError && error.code === "ValidationError";
