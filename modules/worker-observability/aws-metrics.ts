import type { Metric } from "./metrics";

/**
 * The metrics of AWS itself that alarms, policies and dashboards read. `GROUP_METRICS` must be enabled on the group.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_metrics_with_cloudwatch.html
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
 */
export const AWS_METRICS = {
  "AWS/AutoScaling": {
    dimension: "AutoScalingGroupName",
    names: [
      "GroupDesiredCapacity",
      "GroupInServiceInstances",
      "GroupMaxSize",
      "GroupMinSize",
      "GroupPendingInstances",
      "GroupStandbyInstances",
      "GroupTerminatingInstances",
      "GroupTotalInstances",
    ],
  },
  "AWS/EC2": {
    dimension: "AutoScalingGroupName",
    names: ["CPUUtilization", "CPUCreditBalance", "StatusCheckFailed"],
  },
  "AWS/SQS": {
    dimension: "QueueName",
    names: [
      "ApproximateNumberOfMessagesVisible",
      "ApproximateNumberOfMessagesNotVisible",
      "ApproximateAgeOfOldestMessage",
    ],
  },
} as const;

type Service = keyof typeof AWS_METRICS;

/** Group metrics the Auto Scaling group must publish (`enabled_metrics`, granularity `1Minute`): off by default in AWS. */
export const GROUP_METRICS: readonly string[] = AWS_METRICS["AWS/AutoScaling"].names;

/** One of AWS's own metrics, of the Auto Scaling group or the queue called `resource`. */
export function awsMetric<S extends Service>(
  namespace: S,
  metricName: (typeof AWS_METRICS)[S]["names"][number],
  resource: string,
): Metric {
  return { namespace, metricName, dimensions: { [AWS_METRICS[namespace].dimension]: resource } };
}
