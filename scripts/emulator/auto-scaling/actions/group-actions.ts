import { randomUUID } from "node:crypto";
import type { AwsCalls } from "../../aws-calls";
import type { AwsRequest, Correction } from "../../correction";
import type { Faults } from "../../faults";
import type { Regions } from "../../regions";
import { type Tree, textAt, treesAt, without } from "../../tree";
import type { ScalingGroup } from "../group";
import { groupChange, withTemplates } from "../group-parameters";
import { type GroupRecord, type GroupRecords, recordKey } from "../group-records";
import { changedSettings, describedSettings } from "../settings";
import { groupArn, memberTree, timestamp } from "../shapes";
import { hookOf, notificationOf } from "./hook-actions";
import { page, texts } from "./paging";

/** What the emulator behind would launch for a group that it only knows by name, for the policies and schedules on it. */
const NOTHING = { MinSize: "0", MaxSize: "0", DesiredCapacity: "0" };

/** Groups: made, changed, described, deleted. */
export function groupActions(regions: Regions, records: GroupRecords, aws: AwsCalls, faults: Faults): Correction {
  const nameOf = ({ parameters }: AwsRequest) => textAt(parameters, "AutoScalingGroupName") ?? "";
  const recordOf = (request: AwsRequest): GroupRecord => {
    regions.of(request.region).groups.group(nameOf(request));
    return records.get(recordKey(request.region, nameOf(request))) as GroupRecord;
  };
  const processes = (request: AwsRequest, change: (name: string, process: string) => void) => {
    const named = texts(request.parameters["ScalingProcesses"]);
    for (const process of named.length > 0 ? named : PROCESSES) change(nameOf(request), process);
    return {};
  };

  return {
    service: "autoscaling",
    refuses: (action, request) => faults.refuse({ service: "autoscaling", action, ...request }),
    replies: {
      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html */
      CreateAutoScalingGroup: async (request) => {
        const { region } = request;
        const name = nameOf(request);
        const parameters = await withTemplates(aws, region, request.parameters);
        const change = await groupChange(aws, region, parameters);
        const min = change.min ?? 0;
        const tags = treesAt(parameters, "Tags");
        const hooks = treesAt(parameters, "LifecycleHookSpecificationList");
        const known = without(request.parameters, "DesiredCapacity", "Tags", "LifecycleHookSpecificationList");
        await aws("autoscaling", region, "CreateAutoScalingGroup", { ...known, ...NOTHING });
        records.set(recordKey(region, name), {
          arn: groupArn(region, name, randomUUID()),
          createdMs: Date.now(),
          settings: changedSettings({}, parameters),
          tags: new Map(tags.map((tag) => [textAt(tag, "Key") ?? "", ownTag(name, tag)])),
          metrics: new Set(),
          notifications: new Map(hooks.map((hook) => [textAt(hook, "LifecycleHookName") ?? "", notificationOf(hook)])),
          vpcZoneIdentifier: textAt(parameters, "VPCZoneIdentifier") ?? "",
        });
        regions.of(region).groups.create(
          {
            max: 0,
            zones: [],
            subnetIds: [],
            suspended: [],
            retainsInstances: false,
            desired: min,
            ...(Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as object),
            min,
            name,
            tags: propagated(tags),
          },
          hooks.map((hook) => hookOf(hook)),
        );
        return {};
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html */
      UpdateAutoScalingGroup: async (request) => {
        const { region } = request;
        recordOf(request);
        const parameters = await withTemplates(aws, region, request.parameters);
        const change = await groupChange(aws, region, parameters);
        regions.of(region).groups.update(nameOf(request), change);
        const record = recordOf(request);
        record.settings = changedSettings(record.settings, parameters);
        record.vpcZoneIdentifier = textAt(parameters, "VPCZoneIdentifier") ?? record.vpcZoneIdentifier;
        return {};
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetDesiredCapacity.html */
      SetDesiredCapacity: async (request) => {
        const desired = Number(textAt(request.parameters, "DesiredCapacity"));
        regions.of(request.region).groups.update(nameOf(request), { desired });
        return {};
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteAutoScalingGroup.html */
      DeleteAutoScalingGroup: async (request) => {
        const { region, parameters } = request;
        regions.of(region).groups.delete(nameOf(request), textAt(parameters, "ForceDelete") === "true");
        records.delete(recordKey(region, nameOf(request)));
        return aws("autoscaling", region, "DeleteAutoScalingGroup", { ...parameters, ForceDelete: "true" });
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html */
      DescribeAutoScalingGroups: async ({ region, parameters }) => {
        const wanted = texts(parameters["AutoScalingGroupNames"]);
        const found = [...regions.of(region).groups.groups.values()]
          .flatMap(({ view }) => view.seen(faults.staleMs()) ?? [])
          .filter(({ name }) => wanted.length === 0 || wanted.includes(name))
          .map((group) => ({ group, record: records.get(recordKey(region, group.name)) as GroupRecord }))
          .filter(({ record }) => treesAt(parameters, "Filters").every((filter) => matches(filter, record)))
          .map(({ group, record }) => groupTree(group, record));
        return page("AutoScalingGroups", found, parameters, 50, 100);
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SuspendProcesses.html */
      SuspendProcesses: async (request) =>
        processes(request, (name, process) => regions.of(request.region).groups.suspend(name, process)),

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_ResumeProcesses.html */
      ResumeProcesses: async (request) =>
        processes(request, (name, process) => regions.of(request.region).groups.resume(name, process)),

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_EnableMetricsCollection.html */
      EnableMetricsCollection: async (request) => {
        const named = texts(request.parameters["Metrics"]);
        for (const metric of named.length > 0 ? named : METRICS) recordOf(request).metrics.add(metric);
        return {};
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DisableMetricsCollection.html */
      DisableMetricsCollection: async (request) => {
        const named = texts(request.parameters["Metrics"]);
        for (const metric of named.length > 0 ? named : METRICS) recordOf(request).metrics.delete(metric);
        return {};
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateOrUpdateTags.html */
      CreateOrUpdateTags: async ({ region, parameters }) =>
        changeTags(region, parameters, (tags, tag, name) => {
          tags.set(textAt(tag, "Key") ?? "", ownTag(name, tag));
        }),

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteTags.html */
      DeleteTags: async ({ region, parameters }) =>
        changeTags(region, parameters, (tags, tag) => {
          tags.delete(textAt(tag, "Key") ?? "");
        }),

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeTags.html */
      DescribeTags: async ({ region, parameters }) => {
        const tags = [...records].flatMap(([key, record]) =>
          key.startsWith(`${region}/`) ? [...record.tags.values()] : [],
        );
        const found = tags.filter((tag) =>
          treesAt(parameters, "Filters").every((filter) =>
            texts(filter["Values"]).includes(textAt(tag, TAG_FIELDS[textAt(filter, "Name") ?? ""] ?? "") ?? ""),
          ),
        );
        return page("Tags", found, parameters, 50, 100);
      },
    },
    answers: {
      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutWarmPool.html */
      PutWarmPool: (result, request) => {
        warmPool(request, without(request.parameters, "Action", "Version", "AutoScalingGroupName"));
        return result;
      },
      DeleteWarmPool: (result, request) => {
        warmPool(request, undefined);
        return result;
      },
    },
  };

  function warmPool(request: AwsRequest, configuration: Tree | undefined): void {
    const record = records.get(recordKey(request.region, nameOf(request)));
    if (!record) return;
    if (configuration) record.warmPool = configuration;
    else delete record.warmPool;
  }

  function changeTags(
    region: string,
    parameters: Tree,
    change: (tags: Map<string, Tree>, tag: Tree, group: string) => void,
  ): Tree {
    for (const tag of treesAt(parameters, "Tags")) {
      const name = textAt(tag, "ResourceId") ?? "";
      const group = regions.of(region).groups.group(name);
      const { tags } = records.get(recordKey(region, name)) as GroupRecord;
      change(tags, tag, name);
      group.view.set({ tags: propagated([...tags.values()]) });
    }
    return {};
  }
}

/** https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html */
const PROCESSES = [
  "Launch",
  "Terminate",
  "AddToLoadBalancer",
  "AlarmNotification",
  "AZRebalance",
  "HealthCheck",
  "InstanceRefresh",
  "ReplaceUnhealthy",
  "ScheduledActions",
];

/** https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html */
const METRICS = ["Desired", "InService", "Pending", "Standby", "Terminating", "Total"]
  .flatMap((state) =>
    state === "Desired" ? ["GroupDesiredCapacity"] : [`Group${state}Capacity`, `Group${state}Instances`],
  )
  .concat("GroupMaxSize", "GroupMinSize");

const TAG_FIELDS: Readonly<Record<string, string>> = {
  "auto-scaling-group": "ResourceId",
  key: "Key",
  value: "Value",
  "propagate-at-launch": "PropagateAtLaunch",
};

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Filter.html */
function matches(filter: Tree, { tags }: GroupRecord): boolean {
  const name = textAt(filter, "Name") ?? "";
  const values = texts(filter["Values"]);
  if (name === "tag-key") return values.some((key) => tags.has(key));
  if (name === "tag-value") return [...tags.values()].some((tag) => values.includes(textAt(tag, "Value") ?? ""));
  const tag = tags.get(name.replace(/^tag:/, ""));
  return tag !== undefined && values.includes(textAt(tag, "Value") ?? "");
}

function ownTag(group: string, tag: Tree): Tree {
  return { Value: "", PropagateAtLaunch: "false", ...tag, ResourceId: group, ResourceType: "auto-scaling-group" };
}

function propagated(tags: readonly Tree[]): Record<string, string> {
  return Object.fromEntries(
    tags
      .filter((tag) => tag["PropagateAtLaunch"] === "true")
      .map((tag) => [textAt(tag, "Key") ?? "", textAt(tag, "Value") ?? ""]),
  );
}

function groupTree(group: ScalingGroup, record: GroupRecord): Tree {
  return {
    ...describedSettings(record.settings),
    AutoScalingGroupName: group.name,
    AutoScalingGroupARN: record.arn,
    MinSize: String(group.min),
    MaxSize: String(group.max),
    DesiredCapacity: String(group.desired),
    AvailabilityZones: [...new Set(group.zones)],
    VPCZoneIdentifier: record.vpcZoneIdentifier,
    CreatedTime: timestamp(record.createdMs),
    Instances: group.instances.map(memberTree),
    SuspendedProcesses: group.suspended.map((ProcessName) => ({
      ProcessName,
      SuspensionReason: "User suspended",
    })),
    EnabledMetrics: [...record.metrics].map((Metric) => ({ Metric, Granularity: "1Minute" })),
    Tags: [...record.tags.values()],
    ...(record.warmPool ? { WarmPoolConfiguration: record.warmPool, WarmPoolSize: "0" } : {}),
  };
}
