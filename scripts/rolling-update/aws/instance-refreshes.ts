import {
  AutoScalingClient,
  CancelInstanceRefreshCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeInstanceRefreshesCommand,
  DescribeScalingActivitiesCommand,
  type DesiredConfiguration,
  type LaunchTemplateSpecification,
  type InstanceRefresh as RefreshAnswer,
  RollbackInstanceRefreshCommand,
  StartInstanceRefreshCommand,
} from "@aws-sdk/client-auto-scaling";
import type { InstanceRefresh, InstanceRefreshes, RefreshPreferences } from "../fleet/instance-refresh";
import { intercept } from "../intercept";
import { asCloudError, clientSettings, type SdkOptions } from "./sdk-cloud";

/** Instance refreshes through the SDK. */
export function instanceRefreshes(options: SdkOptions): InstanceRefreshes {
  const autoScaling = new AutoScalingClient(clientSettings(options));

  /**
   * What the group launches from, at another version of its template. A policy of mixed instances is taken whole: what a desired
   * configuration leaves out is not kept.
   * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DesiredConfiguration.html
   */
  const configurationAt = async (group: string, version: number): Promise<DesiredConfiguration> => {
    const { AutoScalingGroups = [] } = await autoScaling.send(
      new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [group] }),
    );
    const { LaunchTemplate, MixedInstancesPolicy: policy } = AutoScalingGroups[0] ?? {};
    if (!policy) return { LaunchTemplate: templateAt(LaunchTemplate, version) };
    const { LaunchTemplateSpecification, Overrides } = policy.LaunchTemplate ?? {};
    return {
      MixedInstancesPolicy: {
        ...policy,
        LaunchTemplate: {
          LaunchTemplateSpecification: templateAt(LaunchTemplateSpecification, version),
          Overrides: Overrides?.map(({ LaunchTemplateSpecification: own, ...override }) =>
            own ? { ...override, LaunchTemplateSpecification: templateAt(own, own.Version) } : override,
          ),
        },
      },
    };
  };

  const refreshes: InstanceRefreshes = {
    /** The first page is the newest, and holds more than anyone follows. */
    async describe(group) {
      const { InstanceRefreshes = [] } = await autoScaling.send(
        new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: group, MaxRecords: 50 }),
      );
      return InstanceRefreshes.map(refresh).sort((a, b) => b.startedMs - a.startedMs);
    },

    async failedLaunches(group, sinceMs) {
      const { Activities = [] } = await autoScaling.send(
        new DescribeScalingActivitiesCommand({ AutoScalingGroupName: group, MaxRecords: 100 }),
      );
      return Activities.filter(
        ({ StatusCode, StartTime }) => StatusCode === "Failed" && (StartTime?.getTime() ?? 0) >= sinceMs,
      ).flatMap(({ StatusMessage }) => StatusMessage ?? []);
    },

    async start(group, preferences) {
      const { templateVersion } = preferences;
      const desired = templateVersion === undefined ? undefined : await configurationAt(group, templateVersion);
      const { InstanceRefreshId } = await autoScaling.send(
        new StartInstanceRefreshCommand({
          AutoScalingGroupName: group,
          Strategy: "Rolling",
          ...(desired === undefined ? {} : { DesiredConfiguration: desired }),
          Preferences: preferencesOf(preferences),
        }),
      );
      return InstanceRefreshId ?? "";
    },

    async cancel(group) {
      await autoScaling.send(new CancelInstanceRefreshCommand({ AutoScalingGroupName: group }));
    },

    async rollback(group) {
      await autoScaling.send(new RollbackInstanceRefreshCommand({ AutoScalingGroupName: group }));
    },
  };
  return intercept(refreshes, async (method, call) => {
    try {
      return await call();
    } catch (error) {
      throw asCloudError(`${method} of the instance refresh`, error);
    }
  });
}

/** By its id: a request that names a template twice is refused. */
function templateAt(
  { LaunchTemplateId }: LaunchTemplateSpecification = {},
  version: number | string | undefined,
): LaunchTemplateSpecification {
  return { LaunchTemplateId, Version: version === undefined ? undefined : String(version) };
}

function refresh(answer: RefreshAnswer): InstanceRefresh {
  const { Preferences } = answer;
  return {
    id: answer.InstanceRefreshId ?? "",
    status: answer.Status ?? "Pending",
    reason: answer.StatusReason,
    startedMs: answer.StartTime?.getTime() ?? 0,
    percent: answer.PercentageComplete ?? 0,
    remaining: answer.InstancesToUpdate ?? 0,
    checkpoints: Preferences?.CheckpointPercentages ?? [],
    checkpointDelayMs: (Preferences?.CheckpointDelay ?? 0) * 1_000,
    alarms: Preferences?.AlarmSpecification?.Alarms ?? [],
    rollsBackByItself: Preferences?.AutoRollback ?? false,
  };
}

/** Instances that are already on the group's template are left alone, and busy workers drain: as the fleet's own refreshes do. */
function preferencesOf(given: RefreshPreferences) {
  return {
    SkipMatching: true,
    ScaleInProtectedInstances: "Refresh" as const,
    StandbyInstances: "Terminate" as const,
    ...(given.minHealthyPercent === undefined ? {} : { MinHealthyPercentage: given.minHealthyPercent }),
    ...(given.maxHealthyPercent === undefined ? {} : { MaxHealthyPercentage: given.maxHealthyPercent }),
    ...(given.warmupSeconds === undefined ? {} : { InstanceWarmup: given.warmupSeconds }),
    ...(given.bakeSeconds === undefined ? {} : { BakeTime: given.bakeSeconds }),
    ...(given.checkpoints === undefined ? {} : { CheckpointPercentages: [...given.checkpoints] }),
    ...(given.checkpointDelaySeconds === undefined ? {} : { CheckpointDelay: given.checkpointDelaySeconds }),
    ...(given.alarms === undefined ? {} : { AlarmSpecification: { Alarms: [...given.alarms] } }),
    ...(given.autoRollback === undefined ? {} : { AutoRollback: given.autoRollback }),
  };
}
