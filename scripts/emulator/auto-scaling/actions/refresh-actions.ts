import type { AwsCalls } from "../../aws-calls";
import { AwsError, validationError } from "../../aws-error";
import type { AwsRequest, Correction } from "../../correction";
import type { Regions } from "../../regions";
import { isTree, type Tree, textAt, treeAt } from "../../tree";
import type { ScalingGroup } from "../group";
import { launches, withTemplates } from "../group-parameters";
import { type GroupRecord, type GroupRecords, recordKey } from "../group-records";
import type { InstanceRefresh, RefreshPreferences, RefreshTarget } from "../instance-refresh";
import { changedSettings } from "../settings";
import { timestamp } from "../shapes";
import { page, texts } from "./paging";

/** Instance refreshes: started, watched, cancelled, rolled back. */
export function refreshActions(regions: Regions, records: GroupRecords, aws: AwsCalls): Correction {
  const named = ({ region, parameters }: AwsRequest) => {
    const name = textAt(parameters, "AutoScalingGroupName") ?? "";
    const { view } = regions.of(region).groups.group(name);
    const record = records.get(recordKey(region, name)) as GroupRecord;
    return { name, group: view.current, record, refreshes: regions.of(region).refreshes };
  };
  return {
    service: "autoscaling",
    replies: {
      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_StartInstanceRefresh.html */
      StartInstanceRefresh: async (request) => {
        const { name, group, record, refreshes } = named(request);
        const desired = request.parameters["DesiredConfiguration"];
        const preferences = preferencesOf(treeAt(request.parameters, "Preferences"), group, record);
        if (preferences.autoRollback && !isTree(desired)) {
          throw validationError("AutoRollback requires a DesiredConfiguration to be specified.");
        }
        const configuration = isTree(desired) ? await withTemplates(aws, request.region, desired) : undefined;
        const before = record.settings;
        const target: RefreshTarget | undefined = configuration && {
          apply: launches(configuration),
          restore: { template: group.template, mixed: group.mixed },
          restored: () => {
            record.settings = before;
          },
        };
        const { id } = await refreshes.start(name, preferences, target);
        if (configuration) record.settings = changedSettings(record.settings, configuration);
        return { InstanceRefreshId: id };
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CancelInstanceRefresh.html */
      CancelInstanceRefresh: async (request) => {
        const { name, refreshes } = named(request);
        return { InstanceRefreshId: refreshes.cancel(name).id };
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RollbackInstanceRefresh.html */
      RollbackInstanceRefresh: async (request) => {
        const { name, refreshes } = named(request);
        return { InstanceRefreshId: (await refreshes.rollback(name)).id };
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeInstanceRefreshes.html */
      DescribeInstanceRefreshes: async (request) => {
        const { name, refreshes } = named(request);
        const wanted = texts(request.parameters["InstanceRefreshIds"]);
        const found = refreshes.of(name).filter(({ id }) => wanted.length === 0 || wanted.includes(id));
        return page("InstanceRefreshes", found.map(refreshTree), request.parameters, 50, 100);
      },
    },
  };
}

/**
 * What a request leaves open is the group's own: its maintenance policy, its warm-up.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/understand-instance-refresh-default-values.html
 *
 * @throws AwsError ValidationError
 */
function preferencesOf(given: Tree, { maintenance }: ScalingGroup, { settings }: GroupRecord): RefreshPreferences {
  const number = (name: string, usual: number) => Number(textAt(given, name) ?? usual);
  const minHealthyPercent = number("MinHealthyPercentage", maintenance?.minHealthyPercent ?? 90);
  const maxHealthyPercent = number("MaxHealthyPercentage", maintenance?.maxHealthyPercent ?? 100);
  if (maxHealthyPercent < 100 || maxHealthyPercent > 200 || maxHealthyPercent - minHealthyPercent > 100) {
    throw validationError(
      `MaxHealthyPercentage (${maxHealthyPercent}) must be from 100 to 200 and at most 100 above MinHealthyPercentage (${minHealthyPercent}).`,
    );
  }
  const checkpoints = texts(given["CheckpointPercentages"]).map(Number);
  if (checkpoints.some((percent, index) => percent <= (checkpoints[index - 1] ?? 0))) {
    throw validationError("CheckpointPercentages must be unique and in ascending order.");
  }
  const warmup = textAt(settings, "DefaultInstanceWarmup") ?? textAt(settings, "HealthCheckGracePeriod") ?? "0";
  const protectedInstances = textAt(given, "ScaleInProtectedInstances") ?? "Wait";
  if (protectedInstances !== "Wait" && protectedInstances !== "Ignore" && protectedInstances !== "Refresh") {
    throw new AwsError("ValidationError", "ScaleInProtectedInstances is Refresh, Ignore or Wait.");
  }
  return {
    minHealthyPercent,
    maxHealthyPercent,
    warmupMs: number("InstanceWarmup", Number(warmup)) * 1_000,
    checkpoints,
    checkpointDelayMs: number("CheckpointDelay", 3_600) * 1_000,
    skipMatching: textAt(given, "SkipMatching") === "true",
    autoRollback: textAt(given, "AutoRollback") === "true",
    protectedInstances,
  };
}

function refreshTree(refresh: InstanceRefresh): Tree {
  const { id, group, status, reason, startedMs, endedMs, percentComplete, instancesToUpdate, preferences } = refresh;
  return {
    InstanceRefreshId: id,
    AutoScalingGroupName: group,
    Status: status,
    ...(reason === "" ? {} : { StatusReason: reason }),
    StartTime: timestamp(startedMs),
    ...(endedMs === undefined ? {} : { EndTime: timestamp(endedMs) }),
    PercentageComplete: String(percentComplete),
    InstancesToUpdate: String(instancesToUpdate),
    Preferences: {
      MinHealthyPercentage: String(preferences.minHealthyPercent),
      MaxHealthyPercentage: String(preferences.maxHealthyPercent),
      InstanceWarmup: String(preferences.warmupMs / 1_000),
      ...(preferences.checkpoints.length === 0
        ? {}
        : {
            CheckpointPercentages: preferences.checkpoints.map(String),
            CheckpointDelay: String(preferences.checkpointDelayMs / 1_000),
          }),
      SkipMatching: String(preferences.skipMatching),
      AutoRollback: String(preferences.autoRollback),
      ScaleInProtectedInstances: preferences.protectedInstances,
    },
  };
}
