import type { Aws } from "../host/aws";
import { completeHook, type LifecycleHook } from "../host/lifecycle-hook";
import type { Log } from "../host/log";
import { fullJitterMs, sleep } from "../host/waiting";
import { listOf } from "../host/xml";
import { BootError } from "./boot-error";

export type HookDecision = "complete" | "wait" | "over" | "lost";

/**
 * What the group's view of this instance says about the launch hook. Completing it before the instance waits for it is an error,
 * and would leave the instance waiting until the hook runs out.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
 *
 * @param lifecycleState undefined while the group does not list the instance.
 */
export function decideHook(lifecycleState: string | undefined): HookDecision {
  if (lifecycleState === "Pending:Wait") return "complete";
  if (lifecycleState === undefined || lifecycleState === "Pending") return "wait";
  if (/^(Terminat|Detach)/.test(lifecycleState)) return "lost";
  return "over";
}

/**
 * Ends the launch hook with CONTINUE; nothing happens if it has ended well before.
 *
 * @throws BootError if the group is already ending this instance; the signal's reason if the group never asked.
 */
export async function completeLaunch(aws: Aws, hook: LifecycleHook, log: Log, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const state = await lifecycleState(aws, hook.instanceId);
    switch (decideHook(state)) {
      case "complete":
        await completeHook(aws, hook, "CONTINUE", log);
        return;
      case "over":
        return;
      case "lost":
        throw new BootError({
          code: "launch-abandoned",
          message: `the group is ending this instance (${state}) before the node was ready`,
          remedy: `look at the group's activities; if its hook ran out, raise asg_lifecycle_hook_heartbeat_timeout`,
        });
      case "wait":
        await sleep(fullJitterMs(attempt, { baseMs: 1_000, capMs: 10_000 }), signal);
        signal.throwIfAborted();
    }
  }
}

async function lifecycleState(aws: Aws, instanceId: string): Promise<string | undefined> {
  const answer = await aws.call("autoscaling", "DescribeAutoScalingInstances", { InstanceIds: [instanceId] });
  return listOf(answer["AutoScalingInstances"])[0]?.["LifecycleState"] as string | undefined;
}
