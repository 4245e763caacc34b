import type * as AutoScaling from "@aws-sdk/client-auto-scaling";
import type * as Ec2 from "@aws-sdk/client-ec2";
import type {
  Activity,
  Group,
  GroupInstance,
  Hook,
  Instance,
  NetworkInterface,
  TemplateVersion,
  Volume,
} from "../cloud";

/** AWS's answers, reduced to what the roller decides on. */

export function group(answer: AutoScaling.AutoScalingGroup): Group {
  const template = answer.MixedInstancesPolicy ? undefined : answer.LaunchTemplate;
  const policy = answer.InstanceMaintenancePolicy;
  const isLimited = policy?.MinHealthyPercentage !== undefined && policy.MaxHealthyPercentage !== undefined;
  return {
    name: answer.AutoScalingGroupName ?? "",
    min: answer.MinSize ?? 0,
    max: answer.MaxSize ?? 0,
    desired: answer.DesiredCapacity ?? 0,
    ...(template?.LaunchTemplateId === undefined
      ? {}
      : {
          template: {
            id: template.LaunchTemplateId,
            ...(template.Version === undefined ? {} : { version: template.Version }),
          },
        }),
    zones: answer.AvailabilityZones ?? [],
    subnetIds: (answer.VPCZoneIdentifier ?? "").split(",").filter(Boolean),
    suspended: (answer.SuspendedProcesses ?? []).flatMap(({ ProcessName }) => ProcessName ?? []),
    ...(isLimited
      ? {
          maintenance: {
            minHealthyPercent: policy.MinHealthyPercentage ?? 0,
            maxHealthyPercent: policy.MaxHealthyPercentage ?? 0,
          },
        }
      : {}),
    retainsInstances: answer.InstanceLifecyclePolicy?.RetentionTriggers?.TerminateHookAbandon === "retain",
    tags: tagsOf(answer.Tags),
    instances: (answer.Instances ?? []).map(member),
  };
}

function member(answer: AutoScaling.Instance): GroupInstance {
  const { LaunchTemplateId: id, Version: version } = answer.LaunchTemplate ?? {};
  return {
    id: answer.InstanceId ?? "",
    lifecycle: answer.LifecycleState ?? "",
    healthy: answer.HealthStatus?.toLowerCase() === "healthy",
    ...(id === undefined || version === undefined ? {} : { template: { id, version } }),
  };
}

export function activity(answer: AutoScaling.Activity): Activity {
  return {
    id: answer.ActivityId ?? "",
    status: answer.StatusCode ?? "",
    startedMs: answer.StartTime?.getTime() ?? 0,
    description: answer.Description ?? "",
    message: answer.StatusMessage ?? "",
  };
}

export function hook(answer: AutoScaling.LifecycleHook): Hook {
  return {
    name: answer.LifecycleHookName ?? "",
    transition: answer.LifecycleTransition === "autoscaling:EC2_INSTANCE_TERMINATING" ? "terminating" : "launching",
    heartbeatMs: (answer.HeartbeatTimeout ?? 3_600) * 1_000,
    globalMs: (answer.GlobalTimeout ?? 172_800) * 1_000,
  };
}

export function instance(answer: Ec2.Instance): Instance {
  return {
    id: answer.InstanceId ?? "",
    state: answer.State?.Name ?? "pending",
    tags: tagsOf(answer.Tags),
  };
}

export function networkInterface(answer: Ec2.NetworkInterface): NetworkInterface {
  return {
    id: answer.NetworkInterfaceId ?? "",
    status: answer.Status ?? "",
    zone: answer.AvailabilityZone ?? "",
    ip: answer.PrivateIpAddress ?? "",
    ...(answer.Attachment?.InstanceId === undefined ? {} : { instanceId: answer.Attachment.InstanceId }),
    deleteOnTermination: answer.Attachment?.DeleteOnTermination === true,
  };
}

export function volume(answer: Ec2.Volume): Volume {
  const [attachment] = answer.Attachments ?? [];
  return {
    id: answer.VolumeId ?? "",
    state: answer.State ?? "",
    zone: answer.AvailabilityZone ?? "",
    ...(attachment?.InstanceId === undefined ? {} : { instanceId: attachment.InstanceId }),
    deleteOnTermination: attachment?.DeleteOnTermination === true,
  };
}

export function templateVersion(answer: Ec2.LaunchTemplateVersion): TemplateVersion {
  const data = answer.LaunchTemplateData;
  return {
    id: answer.LaunchTemplateId ?? "",
    version: answer.VersionNumber ?? 0,
    spot: data?.InstanceMarketOptions?.MarketType === "spot",
    interfaces: (data?.NetworkInterfaces ?? []).flatMap(({ NetworkInterfaceId, DeleteOnTermination }) =>
      NetworkInterfaceId === undefined
        ? []
        : [{ id: NetworkInterfaceId, deleteOnTermination: DeleteOnTermination === true }],
    ),
  };
}

function tagsOf(
  tags: readonly { Key?: string | undefined; Value?: string | undefined }[] = [],
): Record<string, string> {
  return Object.fromEntries(tags.flatMap(({ Key, Value }) => (Key === undefined ? [] : [[Key, Value ?? ""]])));
}
