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
import { entries, field, text, type Xml } from "./xml";

/** AWS's XML answers, reduced to what the roller decides on. */

export function group(answer: Xml): Group {
  const template = field(answer, "MixedInstancesPolicy") ? undefined : field(answer, "LaunchTemplate");
  const templateId = text(template, "LaunchTemplateId");
  const templateVersion = text(template, "Version");
  const least = text(answer, "InstanceMaintenancePolicy", "MinHealthyPercentage");
  const most = text(answer, "InstanceMaintenancePolicy", "MaxHealthyPercentage");
  const isLimited = least !== "" && most !== "";
  return {
    name: text(answer, "AutoScalingGroupName"),
    min: Number(text(answer, "MinSize")),
    max: Number(text(answer, "MaxSize")),
    desired: Number(text(answer, "DesiredCapacity")),
    ...(templateId === ""
      ? {}
      : { template: { id: templateId, ...(templateVersion === "" ? {} : { version: templateVersion }) } }),
    zones: entries(answer, "AvailabilityZones").map((zone) => text(zone)),
    subnetIds: text(answer, "VPCZoneIdentifier").split(",").filter(Boolean),
    suspended: entries(answer, "SuspendedProcesses").map((process) => text(process, "ProcessName")),
    ...(isLimited ? { maintenance: { minHealthyPercent: Number(least), maxHealthyPercent: Number(most) } } : {}),
    retainsInstances: text(answer, "InstanceLifecyclePolicy", "RetentionTriggers", "TerminateHookAbandon") === "retain",
    tags: tagsOf(entries(answer, "Tags"), "Key", "Value"),
    instances: entries(answer, "Instances").map(member),
  };
}

function member(answer: Xml): GroupInstance {
  const id = text(answer, "LaunchTemplate", "LaunchTemplateId");
  const version = text(answer, "LaunchTemplate", "Version");
  return {
    id: text(answer, "InstanceId"),
    lifecycle: text(answer, "LifecycleState"),
    healthy: text(answer, "HealthStatus").toLowerCase() === "healthy",
    ...(id === "" || version === "" ? {} : { template: { id, version } }),
  };
}

export function activity(answer: Xml): Activity {
  return {
    id: text(answer, "ActivityId"),
    status: text(answer, "StatusCode"),
    startedMs: Date.parse(text(answer, "StartTime")) || 0,
    description: text(answer, "Description"),
    message: text(answer, "StatusMessage"),
  };
}

export function hook(answer: Xml): Hook {
  const seconds = (name: string, otherwise: number) => Number(text(answer, name) || otherwise);
  return {
    name: text(answer, "LifecycleHookName"),
    transition:
      text(answer, "LifecycleTransition") === "autoscaling:EC2_INSTANCE_TERMINATING" ? "terminating" : "launching",
    heartbeatMs: seconds("HeartbeatTimeout", 3_600) * 1_000,
    globalMs: seconds("GlobalTimeout", 172_800) * 1_000,
  };
}

export function instance(answer: Xml): Instance {
  return {
    id: text(answer, "instanceId"),
    state: (text(answer, "instanceState", "name") || "pending") as Instance["state"],
    tags: tagsOf(entries(answer, "tagSet"), "key", "value"),
  };
}

export function networkInterface(answer: Xml): NetworkInterface {
  const instanceId = text(answer, "attachment", "instanceId");
  return {
    id: text(answer, "networkInterfaceId"),
    status: text(answer, "status"),
    zone: text(answer, "availabilityZone"),
    ip: text(answer, "privateIpAddress"),
    ...(instanceId === "" ? {} : { instanceId }),
    deleteOnTermination: text(answer, "attachment", "deleteOnTermination") === "true",
  };
}

export function volume(answer: Xml): Volume {
  const [attachment] = entries(answer, "attachmentSet");
  const instanceId = text(attachment, "instanceId");
  return {
    id: text(answer, "volumeId"),
    state: text(answer, "status"),
    zone: text(answer, "availabilityZone"),
    ...(instanceId === "" ? {} : { instanceId }),
    deleteOnTermination: text(attachment, "deleteOnTermination") === "true",
  };
}

export function templateVersion(answer: Xml): TemplateVersion {
  const data = field(answer, "launchTemplateData");
  return {
    id: text(answer, "launchTemplateId"),
    version: Number(text(answer, "versionNumber")),
    spot: text(data, "instanceMarketOptions", "marketType") === "spot",
    interfaces: entries(data, "networkInterfaceSet").flatMap((card) => {
      const id = text(card, "networkInterfaceId");
      return id === "" ? [] : [{ id, deleteOnTermination: text(card, "deleteOnTermination") === "true" }];
    }),
  };
}

function tagsOf(tags: readonly Xml[], key: string, value: string): Record<string, string> {
  return Object.fromEntries(tags.map((tag) => [text(tag, key), text(tag, value)]));
}
