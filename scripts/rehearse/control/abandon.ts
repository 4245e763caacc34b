import { CompleteLifecycleActionCommand, DescribeLifecycleHooksCommand } from "@aws-sdk/client-auto-scaling";
import type { Rehearsal } from "../rehearsal";
import type { WatchedNode } from "../watch";

/** Abandons the launch that a node's instance waits in. @returns why it could not, in AWS's words */
export async function abandonLaunch(
  { autoScaling }: Pick<Rehearsal, "autoScaling">,
  { group, instance }: WatchedNode,
): Promise<string | undefined> {
  try {
    const described = await autoScaling.send(new DescribeLifecycleHooksCommand({ AutoScalingGroupName: group }));
    const hooks = described.LifecycleHooks ?? [];
    const hook = hooks.find(({ LifecycleTransition = "" }) => LifecycleTransition.endsWith("INSTANCE_LAUNCHING"));
    await autoScaling.send(
      new CompleteLifecycleActionCommand({
        AutoScalingGroupName: group,
        LifecycleHookName: hook?.LifecycleHookName ?? "",
        InstanceId: instance,
        LifecycleActionResult: "ABANDON",
      }),
    );
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
