import { awsMetric } from "../worker-observability/aws-metrics";
import { type Backlog, backlogMetric } from "../worker-observability/backlog";
import { literal, type MetricMath } from "../worker-observability/metric-query";
import { type PoolIdentity, poolMetric } from "../worker-observability/metrics";

/** The longest period of a metric of an instance without detailed monitoring, so one that every term of the alarm has. */
export const SCALE_IN_PERIOD_SECONDS = 300;

const SAMPLES_PER_PERIOD = SCALE_IN_PERIOD_SECONDS / 60;

export interface SurplusLimits {
  readonly jobsPerInstance: number;
  readonly cpuBelowPercent: number;
  /** Free slots that stay after an instance has left; undefined: a fifth of an instance. */
  readonly headroomSlots: number | undefined;
}

/**
 * 1 while the pool can spare an instance, else 0: processors idle AND nothing waits AND nobody is leaving yet AND the jobs of
 * one instance fit in the free slots of the others, with room to spare.
 *
 * Idle processors alone prove nothing: dozens of streaming jobs keep a small instance under 20 %. The last instance goes only
 * when all of its slots are free. Every gap counts against leaving (busy, waiting, no slot free, several instances), and each leg
 * is turned so that 0, which CloudWatch may take for a gap, says no; but for an SQS queue silence is what an idle queue sends.
 *
 * Where every instance is protected because it holds a job, the group lowers its desired capacity and terminates nothing; the
 * third leg keeps that from repeating until the desired capacity means nothing.
 *
 * One alarm on one expression, because a composite alarm cannot run a scaling policy.
 *
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html (composite alarms)
 */
export function spareInstance(
  identity: PoolIdentity,
  asgName: string,
  backlog: Backlog,
  { jobsPerInstance, cpuBelowPercent, headroomSlots }: SurplusLimits,
): MetricMath {
  const jobs = literal(jobsPerInstance);
  const spare = headroomSlots === undefined ? `1.2 * ${jobs}` : `${jobs} + ${literal(headroomSlots)}`;
  const legs = [
    `100 - FILL(cpu, 100) > 100 - ${literal(cpuBelowPercent)}`,
    backlog.kind === "sqs" ? "TIME_SERIES(1) > FILL(backlog, 0)" : "1 - FILL(backlog, 1) > 0",
    "FILL(desired, 0) >= FILL(in_service, 2)",
    `FILL(slots_free, 0) / ${SAMPLES_PER_PERIOD} >= IF(2 - FILL(in_service, 2) > 0, ${jobs}, ${spare})`,
  ];
  return {
    label: "can spare an instance",
    expression: `IF(${legs.join(" AND ")}, 1, 0)`,
    terms: {
      cpu: { metric: awsMetric("AWS/EC2", "CPUUtilization", asgName), statistic: "Average" },
      backlog: { metric: backlogMetric(identity, backlog), statistic: "Maximum" },
      slots_free: { metric: poolMetric(identity, "SlotsFree"), statistic: "Sum" },
      desired: { metric: awsMetric("AWS/AutoScaling", "GroupDesiredCapacity", asgName), statistic: "Minimum" },
      in_service: { metric: awsMetric("AWS/AutoScaling", "GroupInServiceInstances", asgName), statistic: "Maximum" },
    },
  };
}
