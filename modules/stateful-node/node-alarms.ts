import {
  CloudwatchMetricAlarm,
  type CloudwatchMetricAlarmConfig,
} from "@cdktf/provider-aws/lib/cloudwatch-metric-alarm";
import { type IResolvable, Token } from "cdktf";
import { Construct } from "constructs";
import { hcl } from "../publish/expressions";

/** What calls for a person; values may be tokens. */
export interface NodeAlarmThresholds {
  /** Minutes for which a node may be out of service: a boot with its recovery. @default 30 */
  readonly belowCapacityMinutes?: number;
  /** Percent of the burst balance of a gp2, st1 or sc1 volume. @default 20 */
  readonly burstBalancePercent?: number;
  /** Milliseconds that an operation on a volume takes, on average over five minutes, three times in a row. @default 100 */
  readonly volumeLatencyMs?: number;
}

export interface NodeAlarmsProps extends NodeAlarmThresholds {
  /** Of the node's group; begins the alarms' names. May be a token. */
  readonly groupName: string;
  /** Terraform expression of a map from each volume's name to its `id` and `type`. */
  readonly volumes: string;
  /** SNS topics told when an alarm starts and when it is over; may be a token, as a whole. */
  readonly topicArns: string[];
  /** A Terraform condition. @default - there are alarms */
  readonly enabled?: string;
}

/** https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html: the types whose speed is a balance that runs out */
const BURST_TYPES = '["gp2", "st1", "sc1"]';
const PERIOD_SECONDS = 300;

/**
 * The alarms of one node: `{group}-below-capacity`, and `{group}-{volume}-latency` and `-burst-balance` of each of its volumes.
 *
 * https://docs.aws.amazon.com/ebs/latest/userguide/using_cloudwatch_ebs.html
 */
export class NodeAlarms extends Construct {
  public constructor(scope: Construct, id: string, props: NodeAlarmsProps) {
    super(scope, id);
    const { groupName, volumes, topicArns, enabled = "true" } = props;
    const { belowCapacityMinutes = 30, burstBalancePercent = 20, volumeLatencyMs = 100 } = props;
    const told = { alarmActions: topicArns, okActions: topicArns };
    const volumeName = Token.asString(hcl("each.key"));
    const VolumeId = Token.asString(hcl("each.value.id"));
    const alarm = (
      alarmId: string,
      repeat: Readonly<Record<string, IResolvable>>,
      config: CloudwatchMetricAlarmConfig,
    ) => {
      const resource = new CloudwatchMetricAlarm(this, alarmId, { ...told, ...config });
      for (const [argument, value] of Object.entries(repeat)) resource.addOverride(argument, value);
    };

    alarm("below_capacity", enabled === "true" ? {} : { count: hcl(`${enabled} ? 1 : 0`) }, {
      alarmName: `${groupName}-below-capacity`,
      alarmDescription:
        "The node is not in service, and the cluster has one member less. Look at the group's activities, then at the instance's tag holdfast:boot.",
      namespace: "AWS/AutoScaling",
      metricName: "GroupInServiceInstances",
      dimensions: { AutoScalingGroupName: groupName },
      statistic: "Maximum",
      period: 60,
      comparisonOperator: "LessThanThreshold",
      threshold: 1,
      evaluationPeriods: belowCapacityMinutes,
      // A group without an instance has this metric too; one that was never made has none.
      treatMissingData: "missing",
    });
    alarm(
      "volume_latency",
      { for_each: hcl(`{ for name, volume in ${volumes} : name => volume if ${enabled} }`) },
      {
        alarmName: `${groupName}-${volumeName}-latency`,
        alarmDescription:
          "Operations on the volume take long: it is at its limit of IOPS or throughput, or impaired. Look at aws ec2 describe-volume-status.",
        metricQuery: [
          {
            id: "latency",
            label: "ms per operation",
            expression: "IF(reads + writes > 0, 1000 * (read_time + write_time) / (reads + writes), 0)",
            returnData: true,
          },
          ...Object.entries({
            read_time: "VolumeTotalReadTime",
            write_time: "VolumeTotalWriteTime",
            reads: "VolumeReadOps",
            writes: "VolumeWriteOps",
          }).map(([queryId, metricName]) => ({
            id: queryId,
            metric: { namespace: "AWS/EBS", metricName, dimensions: { VolumeId }, stat: "Sum", period: PERIOD_SECONDS },
          })),
        ],
        comparisonOperator: "GreaterThanThreshold",
        threshold: volumeLatencyMs,
        evaluationPeriods: 3,
        // A volume that is attached nowhere has no metrics: below-capacity tells of that.
        treatMissingData: "notBreaching",
      },
    );
    alarm(
      "volume_burst_balance",
      {
        for_each: hcl(
          `{ for name, volume in ${volumes} : name => volume if ${enabled} && contains(${BURST_TYPES}, coalesce(volume.type, "none")) }`,
        ),
      },
      {
        alarmName: `${groupName}-${volumeName}-burst-balance`,
        alarmDescription:
          "The volume's burst credits run out; then it falls to its baseline. Make it larger, or change its type to gp3.",
        namespace: "AWS/EBS",
        metricName: "BurstBalance",
        dimensions: { VolumeId },
        statistic: "Minimum",
        period: PERIOD_SECONDS,
        comparisonOperator: "LessThanThreshold",
        threshold: burstBalancePercent,
        evaluationPeriods: 3,
        treatMissingData: "notBreaching",
      },
    );
  }
}
