import type { Aws } from "../host/aws";
import type { WorkerConfig } from "./config";

/** The metrics that this program publishes; the catalogue says what each means. */
export const PUBLISHED = [
  "WorkerHeartbeat",
  "SlotsUsed",
  "SlotsFree",
  "JobsUnhealthy",
  "ReplicationLag",
  "DrainOverrun",
  "InstanceRetained",
  "BootFailed",
] as const;

export type PublishedMetric = (typeof PUBLISHED)[number];

/** As the catalogue has them; a count where none is given. */
const UNITS: Readonly<Partial<Record<PublishedMetric, string>>> = {
  ReplicationLag: "Milliseconds",
  DrainOverrun: "Seconds",
};

/** Puts metrics of this worker: each counts for the whole minute that began at `minute`. */
export async function putMetrics(
  aws: Aws,
  { metricsNamespace, deployment, pool }: WorkerConfig,
  minute: Date,
  values: Readonly<Partial<Record<PublishedMetric, number>>>,
  timeoutMs = 20_000,
): Promise<void> {
  await aws.call(
    "monitoring",
    "PutMetricData",
    {
      Namespace: metricsNamespace,
      MetricData: Object.entries(values).map(([MetricName, Value]) => ({
        MetricName,
        Value,
        Unit: UNITS[MetricName as PublishedMetric] ?? "Count",
        Timestamp: minute.toISOString(),
        Dimensions: [
          { Name: "Deployment", Value: deployment },
          { Name: "Pool", Value: pool },
        ],
      })),
    },
    { timeoutMs },
  );
}

/** The minute in which a time lies. */
export function minuteOf(time: number): Date {
  return new Date(time - (time % 60_000));
}
