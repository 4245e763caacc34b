import { awsMetric } from "./aws-metrics";
import type { Backlog } from "./backlog";
import { literal, type MathTerm, type MetricMath } from "./metric-query";
import { type PoolIdentity, poolMetric } from "./metrics";

/** What one alarm watches, and what it tells the person it wakes. */
export interface AlarmDefinition {
  readonly watches: MathTerm | MetricMath;
  readonly periodSeconds: number;
  /** In ALARM when `breaching` of the last `of` periods reach `threshold`. */
  readonly breaching: number;
  readonly of: number;
  readonly threshold: number;
  readonly missingData: "missing" | "ignore" | "breaching" | "notBreaching";
  /** What it means, what to do, and why missing data is read as it is. */
  readonly description: string;
}

export interface AlarmThresholds {
  /**
   * Minutes for which an instance may be in service without a heartbeat.
   * @default 5
   */
  readonly heartbeatLostMinutes?: number;
  /**
   * Minutes for which the group may be below its desired capacity: a boot, and a retry.
   * @default 20
   */
  readonly belowCapacityMinutes?: number;
  /**
   * Seconds for which work may wait.
   * @default 900
   */
  readonly backlogAgeSeconds?: number;
  /**
   * Unhealthy jobs of the pool that call for a person.
   * @default 1
   */
  readonly unhealthyJobs?: number;
}

export interface AlarmSubject extends PoolIdentity {
  readonly asgName: string;
  readonly backlog: Backlog;
}

export const ALARM_NAMES = [
  "no-heartbeat",
  "below-capacity",
  "boot-failed",
  "backlog-age",
  "unhealthy-jobs",
  "drain-overrun",
  "retained-instances",
  "refresh-guard",
] as const;
export type AlarmName = (typeof ALARM_NAMES)[number];

/** Job-minutes by which a period was worse than the one before. */
const UNHEALTHY_RISE = "FILL(DIFF(FILL(unhealthy, REPEAT)), 0)";

/** From this share of a pool's jobs on it is the release that ails them, and not each its own source or sink. */
const RELEASE_AT_FAULT = 0.1;

/** Group metrics arrive a minute late at times: their last value stands until then. */
const known = (id: string) => `FILL(FILL(${id}, REPEAT), 0)`;

/** The alarms of one pool. */
export function alarmDefinitions(
  subject: AlarmSubject,
  thresholds: AlarmThresholds = {},
): Readonly<Record<AlarmName, AlarmDefinition>> {
  const {
    heartbeatLostMinutes = 5,
    belowCapacityMinutes = 20,
    backlogAgeSeconds = 900,
    unhealthyJobs = 1,
  } = thresholds;
  const inService: MathTerm = {
    metric: awsMetric("AWS/AutoScaling", "GroupInServiceInstances", subject.asgName),
    statistic: "Minimum",
  };
  const unhealthy: MathTerm = { metric: poolMetric(subject, "JobsUnhealthy"), statistic: "Sum" };
  const used: MathTerm = { metric: poolMetric(subject, "SlotsUsed"), statistic: "Sum" };
  const bootFailed: MathTerm = { metric: poolMetric(subject, "BootFailed"), statistic: "Sum" };
  const backlogAge: MathTerm =
    subject.backlog.kind === "sqs"
      ? {
          metric: awsMetric("AWS/SQS", "ApproximateAgeOfOldestMessage", subject.backlog.queueName),
          statistic: "Maximum",
        }
      : { metric: poolMetric(subject, "BacklogAge"), statistic: "Maximum" };

  return {
    "no-heartbeat": {
      watches: {
        label: "instances without a heartbeat",
        expression: `${known("in_service")} - FILL(heartbeats, 0)`,
        terms: {
          in_service: inService,
          heartbeats: { metric: poolMetric(subject, "WorkerHeartbeat"), statistic: "SampleCount" },
        },
      },
      periodSeconds: 60,
      breaching: heartbeatLostMinutes,
      of: heartbeatLostMinutes + 1,
      threshold: 1,
      missingData: "missing",
      description:
        "An instance is in service but its worker agent is dead, stuck or cut off from the control plane; EC2 health checks do " +
        "not see that. Read the agent's log of the instance the portal shows as lost, then mark it unhealthy to replace it. A " +
        "silent agent counts as 0 heartbeats; data is missing only when the group's own metrics are off, and says so.",
    },
    "below-capacity": {
      watches: {
        label: "instances desired but not in service",
        expression: `${known("desired")} - ${known("in_service")}`,
        terms: {
          desired: {
            metric: awsMetric("AWS/AutoScaling", "GroupDesiredCapacity", subject.asgName),
            statistic: "Minimum",
          },
          in_service: inService,
        },
      },
      periodSeconds: 60,
      breaching: belowCapacityMinutes,
      of: belowCapacityMinutes,
      threshold: 1,
      missingData: "missing",
      description:
        "Launches fail or instances never register. Read the group's scaling activities for the cause EC2 gives (capacity, quota, " +
        "key, image) and the bootstrap log for the rest. Data is missing only when the group's metrics are off, and says so.",
    },
    "boot-failed": {
      watches: bootFailed,
      periodSeconds: 300,
      breaching: 1,
      of: 1,
      threshold: 1,
      missingData: "notBreaching",
      description:
        "A bootstrap gave up and abandoned its launch hook; the group replaces the instance. Read the bootstrap log for the step " +
        "and its reason. No data is the normal case: only failures are published.",
    },
    "backlog-age": {
      watches: backlogAge,
      periodSeconds: 60,
      breaching: 5,
      of: 5,
      threshold: backlogAgeSeconds,
      missingData: subject.backlog.kind === "sqs" ? "notBreaching" : "breaching",
      description:
        "Work waits longer than it may. See whether the pool is at its maximum size, cannot launch, or holds unhealthy jobs. " +
        (subject.backlog.kind === "sqs"
          ? "No data is what an idle queue sends."
          : "The control plane pushes this metric even when it is 0: without data it is down, and the pool cannot scale out."),
    },
    "unhealthy-jobs": {
      watches: unhealthy,
      periodSeconds: 60,
      breaching: 8,
      of: 10,
      threshold: unhealthyJobs,
      missingData: "notBreaching",
      description:
        "Jobs fail to start or keep restarting. Their error is in the portal and in the job's log. No data means no agent runs, " +
        "which no-heartbeat reports.",
    },
    "drain-overrun": {
      watches: { metric: poolMetric(subject, "DrainOverrun"), statistic: "Maximum" },
      periodSeconds: 60,
      breaching: 1,
      of: 1,
      threshold: 1,
      missingData: "notBreaching",
      description:
        "A worker is draining past its deadline: a job does not stop, and the instance will be ended with it. See in the agent's " +
        "log which job holds it. No data means that no worker drains.",
    },
    "retained-instances": {
      watches: { metric: poolMetric(subject, "InstanceRetained"), statistic: "SampleCount" },
      periodSeconds: 300,
      breaching: 1,
      of: 1,
      threshold: 1,
      missingData: "notBreaching",
      description:
        "An instance was kept because its drain failed: it runs outside the group's capacity and is billed. Save what its jobs " +
        "left, then terminate it. No data means that none is kept.",
    },
    "refresh-guard": {
      watches: {
        label: "signs of a bad release",
        expression:
          `IF(FILL(boot_failed, 0) > 0 OR (${UNHEALTHY_RISE} / 5 >= ${literal(unhealthyJobs)} AND ` +
          `${UNHEALTHY_RISE} >= FILL(FILL(used, REPEAT), 0) * ${RELEASE_AT_FAULT}), 1, 0)`,
        terms: { boot_failed: bootFailed, unhealthy, used },
      },
      periodSeconds: 300,
      breaching: 1,
      of: 1,
      threshold: 1,
      missingData: "notBreaching",
      description:
        "Within five minutes a boot failed or unhealthy jobs rose by a tenth of the pool's; an instance refresh under way rolls " +
        "back. It looks at the rise, so a pool that is ill already can still be given its cure, and at the share, so single jobs that " +
        "fail do not stop it. No data means that nothing failed.",
    },
  };
}
