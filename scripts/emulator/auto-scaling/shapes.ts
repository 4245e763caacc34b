import type { Tree } from "../tree";
import type { LifecycleHook, Member, ScalingActivity, ScalingGroup } from "./group";

export const ACCOUNT_ID = "123456789012";

/** Answers of Auto Scaling: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Types.html */

export function timestamp(ms: number): string {
  return new Date(ms).toISOString();
}

export function groupArn(region: string, name: string, id: string): string {
  return `arn:aws:autoscaling:${region}:${ACCOUNT_ID}:autoScalingGroup:${id}:autoScalingGroupName/${name}`;
}

export function memberTree({
  id,
  lifecycle,
  healthy,
  template,
  zone,
  instanceType,
  protectedFromScaleIn,
}: Member): Tree {
  return {
    InstanceId: id,
    ...(instanceType === undefined ? {} : { InstanceType: instanceType }),
    AvailabilityZone: zone ?? "",
    LifecycleState: lifecycle,
    HealthStatus: healthy ? "Healthy" : "Unhealthy",
    ...(template === undefined ? {} : { LaunchTemplate: templateTree(template) }),
    ProtectedFromScaleIn: String(protectedFromScaleIn ?? false),
  };
}

/** An instance as `DescribeAutoScalingInstances` lists it: alike, but for the name of its group and the case of its health. */
export function instanceDetailsTree(group: string, member: Member): Tree {
  return { ...memberTree(member), AutoScalingGroupName: group, HealthStatus: member.healthy ? "HEALTHY" : "UNHEALTHY" };
}

export function activityTree(group: ScalingGroup, activity: ScalingActivity): Tree {
  const { id, status, startedMs, endedMs, description, cause, message } = activity;
  return {
    ActivityId: id,
    AutoScalingGroupName: group.name,
    Description: description,
    Cause: `At ${timestamp(startedMs)} ${cause}.`,
    StartTime: timestamp(startedMs),
    ...(endedMs === undefined ? {} : { EndTime: timestamp(endedMs) }),
    StatusCode: status,
    ...(message === "" ? {} : { StatusMessage: message }),
    Progress: endedMs === undefined ? "50" : "100",
    Details: JSON.stringify({ "Availability Zone": group.zones[0] ?? "" }),
  };
}

export function hookTree(group: string, hook: LifecycleHook, notification: Tree): Tree {
  return {
    LifecycleHookName: hook.name,
    AutoScalingGroupName: group,
    LifecycleTransition:
      hook.transition === "launching" ? "autoscaling:EC2_INSTANCE_LAUNCHING" : "autoscaling:EC2_INSTANCE_TERMINATING",
    HeartbeatTimeout: String(hook.heartbeatMs / 1_000),
    GlobalTimeout: String(hook.globalMs / 1_000),
    DefaultResult: hook.defaultResult ?? "ABANDON",
    ...notification,
  };
}

function templateTree({ id, name, version }: NonNullable<Member["template"]>): Tree {
  return {
    LaunchTemplateId: id,
    ...(name === undefined ? {} : { LaunchTemplateName: name }),
    Version: version,
  };
}
