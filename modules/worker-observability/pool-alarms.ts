import {
  CloudwatchMetricAlarm,
  type CloudwatchMetricAlarmConfig,
} from "@cdktf/provider-aws/lib/cloudwatch-metric-alarm";
import { Construct } from "constructs";
import {
  ALARM_NAMES,
  type AlarmDefinition,
  type AlarmName,
  type AlarmSubject,
  type AlarmThresholds,
  alarmDefinitions,
} from "./alarm-definitions";
import { alarmQueries } from "./metric-query";
import { poolPrefix } from "./metrics";

export interface PoolAlarmsProps extends AlarmSubject {
  /** @default - see {@link AlarmThresholds} */
  readonly thresholds?: AlarmThresholds;
  /**
   * SNS topics told when an alarm starts, when it is over, and when one that always has data has none.
   * @default - the alarms show in CloudWatch only
   */
  readonly topicArns?: readonly string[];
}

/**
 * The alarms of one pool, `{product}-{deployment}-{pool}-{name}` for each of {@link ALARM_NAMES}.
 *
 * Each description says what the alarm means, what to do, and how missing data is read.
 */
export class PoolAlarms extends Construct {
  private readonly alarms: ReadonlyMap<AlarmName, CloudwatchMetricAlarm>;

  constructor(scope: Construct, id: string, props: PoolAlarmsProps) {
    super(scope, id);
    const definitions = alarmDefinitions(props, props.thresholds);
    const topics = [...(props.topicArns ?? [])];
    this.alarms = new Map(
      ALARM_NAMES.map((name) => [
        name,
        new CloudwatchMetricAlarm(this, name.replaceAll("-", "_"), {
          alarmName: `${poolPrefix(props)}-${name}`,
          ...alarmConfig(definitions[name]),
          ...alarmActions(name, definitions[name], topics),
        }),
      ]),
    );
  }

  /** The ARN of every alarm, in the order of {@link ALARM_NAMES}. */
  public get arns(): readonly string[] {
    return [...this.alarms.values()].map((alarm) => alarm.arn);
  }

  /**
   * The names of the alarms that make an instance refresh roll back (`instance_refresh.preferences.alarm_specification`).
   * They read no metric of the group, so the group may depend on them.
   */
  public get refreshAlarmNames(): readonly string[] {
    return [...this.alarms].filter(([name]) => name === "refresh-guard").map(([, alarm]) => alarm.alarmName);
  }
}

/** The guard tells the instance refresh alone: what it sees, boot-failed and unhealthy-jobs tell people. */
function alarmActions(name: AlarmName, { missingData }: AlarmDefinition, topics: string[]) {
  if (name === "refresh-guard" || topics.length === 0) return {};
  return {
    alarmActions: topics,
    okActions: topics,
    ...(missingData === "missing" && { insufficientDataActions: topics }),
  };
}

function alarmConfig(definition: AlarmDefinition): Omit<CloudwatchMetricAlarmConfig, "alarmName"> {
  const { watches, periodSeconds, breaching, of, threshold, missingData, description } = definition;
  return {
    alarmDescription: description,
    comparisonOperator: "GreaterThanOrEqualToThreshold",
    threshold,
    evaluationPeriods: of,
    datapointsToAlarm: breaching,
    treatMissingData: missingData,
    ...("expression" in watches
      ? { metricQuery: alarmQueries(watches, periodSeconds) }
      : {
          namespace: watches.metric.namespace,
          metricName: watches.metric.metricName,
          dimensions: { ...watches.metric.dimensions },
          statistic: watches.statistic,
          period: periodSeconds,
        }),
  };
}
