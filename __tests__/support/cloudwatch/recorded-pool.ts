import { type MetricKey, RecordedMetrics } from "./recorded-metrics";
import type { Recording } from "./recording";

/** The pool that recordings belong to: its names are written out here, so that a test fails when a construct misspells one. */
export const RECORDED_POOL = { deployment: "production", pool: "docs", asgName: "docs-group" };
export const RECORDED_QUEUE = "docs-queue";

/** A recording as CloudWatch would hold it for {@link RECORDED_POOL}. */
export function recordedPool(recording: Recording, lateMinutes = 0): RecordedMetrics {
  const metrics = new RecordedMetrics(lateMinutes);
  for (const [name, samples] of Object.entries(recording.metrics)) metrics.record(pooledMetric(name), samples);
  return metrics;
}

/** The full key of a metric that a recording calls by its name alone. */
export function pooledMetric(metricName: string): MetricKey {
  if (metricName.startsWith("Approximate")) {
    return { namespace: "AWS/SQS", metricName, dimensions: { QueueName: RECORDED_QUEUE } };
  }
  const group = { AutoScalingGroupName: RECORDED_POOL.asgName };
  if (metricName.startsWith("Group")) return { namespace: "AWS/AutoScaling", metricName, dimensions: group };
  if (metricName === "CPUUtilization") return { namespace: "AWS/EC2", metricName, dimensions: group };
  return { namespace: "ez-cdc/workers", metricName, dimensions: { Deployment: "production", Pool: "docs" } };
}
