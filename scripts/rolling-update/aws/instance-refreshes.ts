import {
  AutoScalingClient,
  CancelInstanceRefreshCommand,
  DescribeInstanceRefreshesCommand,
  DescribeScalingActivitiesCommand,
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
      const { InstanceRefreshId } = await autoScaling.send(
        new StartInstanceRefreshCommand({
          AutoScalingGroupName: group,
          Strategy: "Rolling",
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
