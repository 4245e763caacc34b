import { awsMetric } from "../worker-observability/aws-metrics";
import { type Backlog, backlogMetric } from "../worker-observability/backlog";
import { literal, type MetricMath } from "../worker-observability/metric-query";
import type { PoolIdentity } from "../worker-observability/metrics";

/** The last count the group reported; 0 where it has reported none. */
const known = (id: string) => `FILL(FILL(${id}, REPEAT), 0)`;

/**
 * How many instances the pool lacks, from its backlog per instance; 1 or more calls for capacity.
 *
 * The backlog is divided by what one instance takes, a constant, and never by the number of instances, which may be zero.
 * Capacity that was asked for already is subtracted, so that an alarm that stays on while instances boot asks for no more:
 * - `sqs`: a queue may hold work for every desired instance, the excess needs new ones;
 * - `control-plane`: workers claim at once, so a pending job means that no slot is free, and only instances on their way help.
 *
 * A minute without a backlog has no value, so the alarm goes by the newest minutes that have one: a late metric delays the
 * request, where a filled-in 0 would hold the alarm in OK for good. A gap in a group metric repeats its last value.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-using-sqs-queue.html
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html (FILL and late data)
 */
export function missingInstances(
  identity: PoolIdentity,
  asgName: string,
  jobsPerInstance: number,
  backlog: Backlog,
): MetricMath {
  const waiting = { metric: backlogMetric(identity, backlog), statistic: "Maximum" } as const;
  const desired = {
    metric: awsMetric("AWS/AutoScaling", "GroupDesiredCapacity", asgName),
    statistic: "Maximum",
  } as const;
  const needed = (perInstance: number) => `CEIL(backlog / ${literal(perInstance)})`;
  const label = "instances missing";

  if (backlog.kind === "sqs") {
    return {
      label,
      expression: `IF(backlog > 0, ${needed(backlog.messagesPerInstance ?? jobsPerInstance)} - ${known("desired")}, 0)`,
      terms: { backlog: waiting, desired },
    };
  }
  const inService = {
    metric: awsMetric("AWS/AutoScaling", "GroupInServiceInstances", asgName),
    statistic: "Minimum",
  } as const;
  const booting = `${known("desired")} - ${known("in_service")}`;
  return {
    label,
    expression: `IF(backlog > 0, ${needed(jobsPerInstance)} - IF(${booting} > 0, ${booting}, 0), 0)`,
    terms: { backlog: waiting, desired, in_service: inService },
  };
}

/** One rung: from `missing` instances on (up to the next rung), add `add`. */
export interface Rung {
  readonly missing: number;
  readonly add: number;
}

/** Adds at least half of what is missing and never more; the group's maximum size caps the sum. */
export const SCALE_OUT_LADDER: readonly Rung[] = [1, 2, 4, 8, 16].map((missing) => ({ missing, add: missing }));
