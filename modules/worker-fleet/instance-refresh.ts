import type { AutoscalingGroupInstanceRefresh } from "@cdktf/provider-aws/lib/autoscaling-group";
import { literal } from "../worker-observability/metric-query";

export interface RefreshProps {
  /**
   * Share of the desired capacity that stays healthy, in percent.
   * @default 50
   */
  readonly minHealthyPercent?: number;
  /**
   * Share of the desired capacity up to which replacements are launched early, in percent: at most 100 above the least.
   * @default 150
   */
  readonly maxHealthyPercent?: number;
  /**
   * Seconds from a replacement's entry into service to the next replacement.
   * @default 120
   */
  readonly warmupSeconds?: number;
  /**
   * Percentages of replaced instances at which the refresh pauses, ascending.
   * @default - no pause
   */
  readonly checkpointPercents?: number[];
  /**
   * Length of a pause, in seconds.
   * @default 3600
   */
  readonly checkpointDelaySeconds?: number;
}

/**
 * How a group replaces its instances after a change of its launch template: a few at a time, through their terminate hooks
 * even where a busy worker is protected from scale-in, and back again when an alarm goes off.
 *
 * @see https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html
 * @throws Error when no alarm guards the refresh.
 */
export function instanceRefresh(
  props: RefreshProps,
  rollbackAlarmNames: readonly string[],
): AutoscalingGroupInstanceRefresh {
  if (rollbackAlarmNames.length === 0) {
    throw new Error(
      "an instance refresh needs at least one rollback alarm: without one a bad release is rolled out to the end",
    );
  }
  return {
    strategy: "Rolling",
    preferences: {
      minHealthyPercentage: props.minHealthyPercent ?? 50,
      maxHealthyPercentage: props.maxHealthyPercent ?? 150,
      instanceWarmup: literal(props.warmupSeconds ?? 120),
      skipMatching: true,
      scaleInProtectedInstances: "Refresh",
      standbyInstances: "Terminate",
      autoRollback: true,
      alarmSpecification: { alarms: [...rollbackAlarmNames] },
      ...checkpoints(props),
    },
  };
}

function checkpoints({ checkpointPercents = [], checkpointDelaySeconds = 3600 }: RefreshProps) {
  return checkpointPercents.length === 0
    ? {}
    : { checkpointPercentages: checkpointPercents, checkpointDelay: literal(checkpointDelaySeconds) };
}
