import { AutoscalingPolicy } from "@cdktf/provider-aws/lib/autoscaling-policy";
import { CloudwatchMetricAlarm } from "@cdktf/provider-aws/lib/cloudwatch-metric-alarm";
import { Token } from "cdktf";
import { Construct } from "constructs";
import type { Backlog } from "../worker-observability/backlog";
import { alarmQueries } from "../worker-observability/metric-query";
import { type PoolIdentity, poolPrefix } from "../worker-observability/metrics";
import { SCALE_IN_PERIOD_SECONDS, spareInstance } from "./scale-in";
import { missingInstances, SCALE_OUT_LADDER } from "./scale-out";
import { slotUsage } from "./slot-usage";

export interface ScaleOutProps {
  /**
   * Minutes looked at; at most `warmupSeconds`, so that what has been answered is out of sight when the new capacity counts.
   * @default 3
   */
  readonly evaluationMinutes?: number;
  /**
   * Minutes of those in which an instance must be missing; fewer than `evaluationMinutes`, so that late metrics cannot hold the
   * alarm in OK.
   * @default 1
   */
  readonly minutesToAlarm?: number;
  /**
   * Seconds from launch until an instance has taken its share of the backlog; until then it counts as capacity to come.
   * @default 180
   */
  readonly warmupSeconds?: number;
}

export interface ScaleInProps {
  /**
   * Average CPU of the pool, in percent, below which an instance may be spare.
   * @default 30
   */
  readonly cpuBelowPercent?: number;
  /**
   * Free slots that must remain after an instance has left.
   * @default - a fifth of `jobsPerInstance`
   */
  readonly headroomSlots?: number;
  /**
   * Minutes without interruption in which an instance is spare, a multiple of 5; not a token.
   * @default 15
   */
  readonly quietMinutes?: number;
  /**
   * Seconds after one instance has drained and left before the next may follow.
   * @default 600
   */
  readonly cooldownSeconds?: number;
}

/**
 * How one pool's Auto Scaling group follows its work. Strings and numbers may be tokens.
 *
 * The group must publish `GROUP_METRICS` every minute (they are off by default in AWS).
 */
export interface PoolScalingProps extends PoolIdentity {
  readonly asgName: string;
  /** Job slots of one worker: what its agent reports as SlotsUsed plus SlotsFree when idle. */
  readonly jobsPerInstance: number;
  readonly backlog: Backlog;
  /** @default - see {@link ScaleOutProps} */
  readonly scaleOut?: ScaleOutProps;
  /**
   * `false` for a pool that only ever grows.
   * @default - see {@link ScaleInProps}
   */
  readonly scaleIn?: ScaleInProps | false;
  /**
   * Share of the job slots in use, in percent, that target tracking holds by adding instances before work has to wait. It never
   * removes one: that is for `scaleIn`, which knows more than slots.
   * @default - no target tracking
   */
  readonly targetSlotUsagePercent?: number;
}

/**
 * Scales a worker pool: out by steps on its backlog per instance, in by one instance when it is spare.
 *
 * Scale-in is a simple policy, which waits until the drain of the instance before is over and its cooldown has passed; the alarm
 * stays on and would have a step policy remove an instance every minute.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html
 */
export class PoolScaling extends Construct {
  /** ARNs of the alarms that scale, for the pool's dashboard. */
  public readonly alarmArns: readonly string[];

  /** @throws Error when a number is outside what Auto Scaling or CloudWatch takes. */
  constructor(scope: Construct, id: string, props: PoolScalingProps) {
    super(scope, id);
    this.check(props);

    const alarms = [this.scaleOut(props)];
    if (props.scaleIn !== false) alarms.push(this.scaleIn(props, props.scaleIn ?? {}));
    if (props.targetSlotUsagePercent !== undefined) this.trackSlots(props, props.targetSlotUsagePercent);
    this.alarmArns = alarms.map((alarm) => alarm.arn);
  }

  private scaleOut(props: PoolScalingProps): CloudwatchMetricAlarm {
    const { evaluationMinutes = 3, minutesToAlarm = 1, warmupSeconds = 180 } = props.scaleOut ?? {};
    const name = `${poolPrefix(props)}-scale-out`;
    const threshold = 1;
    const policy = new AutoscalingPolicy(this, "scale_out", {
      name,
      autoscalingGroupName: props.asgName,
      policyType: "StepScaling",
      adjustmentType: "ChangeInCapacity",
      metricAggregationType: "Maximum",
      estimatedInstanceWarmup: warmupSeconds,
      stepAdjustment: SCALE_OUT_LADDER.map(({ missing, add }, index) => {
        const next = SCALE_OUT_LADDER[index + 1];
        return {
          scalingAdjustment: add,
          metricIntervalLowerBound: String(missing - threshold),
          ...(next && { metricIntervalUpperBound: String(next.missing - threshold) }),
        };
      }),
    });
    return new CloudwatchMetricAlarm(this, "scale_out_alarm", {
      alarmName: name,
      alarmDescription:
        `Work waits in pool ${props.pool} for instances it does not have; adds them. ` +
        "Missing data is not breaching: a pool does not grow on ignorance, its backlog-age alarm reports the silence.",
      comparisonOperator: "GreaterThanOrEqualToThreshold",
      threshold,
      evaluationPeriods: evaluationMinutes,
      datapointsToAlarm: minutesToAlarm,
      treatMissingData: "notBreaching",
      metricQuery: alarmQueries(missingInstances(props, props.asgName, props.jobsPerInstance, props.backlog), 60),
      alarmActions: [policy.arn],
    });
  }

  private scaleIn(props: PoolScalingProps, scaleIn: ScaleInProps): CloudwatchMetricAlarm {
    const { cpuBelowPercent = 30, headroomSlots, quietMinutes = 15, cooldownSeconds = 600 } = scaleIn;
    const periods = quietMinutes / (SCALE_IN_PERIOD_SECONDS / 60);
    const name = `${poolPrefix(props)}-scale-in`;
    const policy = new AutoscalingPolicy(this, "scale_in", {
      name,
      autoscalingGroupName: props.asgName,
      policyType: "SimpleScaling",
      adjustmentType: "ChangeInCapacity",
      scalingAdjustment: -1,
      cooldown: cooldownSeconds,
    });
    const { jobsPerInstance } = props;
    const math = spareInstance(props, props.asgName, props.backlog, {
      jobsPerInstance,
      cpuBelowPercent,
      headroomSlots,
    });
    return new CloudwatchMetricAlarm(this, "scale_in_alarm", {
      alarmName: name,
      alarmDescription:
        `Pool ${props.pool} can spare an instance: idle CPU, no backlog, and its jobs fit elsewhere; removes one. ` +
        "Missing data is not breaching: an instance leaves on evidence only.",
      comparisonOperator: "GreaterThanOrEqualToThreshold",
      threshold: 1,
      evaluationPeriods: periods,
      datapointsToAlarm: periods,
      treatMissingData: "notBreaching",
      metricQuery: alarmQueries(math, SCALE_IN_PERIOD_SECONDS),
      alarmActions: [policy.arn],
    });
  }

  private trackSlots(props: PoolScalingProps, targetPercent: number): void {
    const { expression, label, terms } = slotUsage(props);
    new AutoscalingPolicy(this, "track_slots", {
      name: `${poolPrefix(props)}-slot-usage`,
      autoscalingGroupName: props.asgName,
      policyType: "TargetTrackingScaling",
      estimatedInstanceWarmup: props.scaleOut?.warmupSeconds ?? 180,
      targetTrackingConfiguration: {
        targetValue: targetPercent,
        disableScaleIn: true,
        customizedMetricSpecification: {
          metrics: [
            { id: "value", expression, label, returnData: true },
            ...Object.entries(terms).map(([id, { metric, statistic }]) => ({
              id,
              returnData: false,
              metricStat: {
                stat: statistic,
                metric: {
                  namespace: metric.namespace,
                  metricName: metric.metricName,
                  dimensions: Object.entries(metric.dimensions).map(([name, value]) => ({ name, value })),
                },
              },
            })),
          ],
        },
      },
    });
  }

  private check(props: PoolScalingProps): void {
    const { jobsPerInstance, backlog, scaleOut = {}, scaleIn, targetSlotUsagePercent } = props;
    this.expect("jobsPerInstance", jobsPerInstance, (n) => Number.isInteger(n) && n >= 1, "a whole number >= 1");
    if (backlog.kind === "sqs") {
      this.expect("backlog.messagesPerInstance", backlog.messagesPerInstance, (n) => n > 0, "greater than 0");
    }
    const { evaluationMinutes = 3, minutesToAlarm = 1, warmupSeconds = 180 } = scaleOut;
    this.expect("scaleOut.warmupSeconds", warmupSeconds, (n) => n >= 60, "at least 60");
    this.expect(
      "scaleOut.evaluationMinutes",
      evaluationMinutes,
      (n) => Number.isInteger(n) && n >= 1 && (Token.isUnresolved(warmupSeconds) || n * 60 <= warmupSeconds),
      `at least 1 and within scaleOut.warmupSeconds (${warmupSeconds})`,
    );
    this.expect(
      "scaleOut.minutesToAlarm",
      minutesToAlarm,
      (n) => Number.isInteger(n) && n >= 1 && (Token.isUnresolved(evaluationMinutes) || n <= evaluationMinutes),
      `from 1 to scaleOut.evaluationMinutes (${evaluationMinutes})`,
    );
    if (scaleIn) {
      const { cpuBelowPercent, headroomSlots, quietMinutes, cooldownSeconds } = scaleIn;
      this.expect("scaleIn.cpuBelowPercent", cpuBelowPercent, (n) => n > 0 && n <= 100, "above 0 and at most 100");
      this.expect("scaleIn.headroomSlots", headroomSlots, (n) => n >= 0, "0 or more");
      if (Token.isUnresolved(quietMinutes))
        throw new Error(`${this.node.path}: scaleIn.quietMinutes should not be a token`);
      const minutes = (n: number) => n >= 5 && n <= 1440 && n % 5 === 0;
      this.expect("scaleIn.quietMinutes", quietMinutes, minutes, "a multiple of 5, from 5 to 1440");
      this.expect("scaleIn.cooldownSeconds", cooldownSeconds, (n) => n >= 0, "0 or more");
    }
    this.expect("targetSlotUsagePercent", targetSlotUsagePercent, (n) => n > 0 && n <= 100, "above 0 and at most 100");
  }

  private expect(field: string, value: number | undefined, holds: (n: number) => boolean, rule: string): void {
    if (value === undefined || Token.isUnresolved(value) || holds(value)) return;
    throw new Error(`${this.node.path}: ${field} (${value}) should be ${rule}`);
  }
}
