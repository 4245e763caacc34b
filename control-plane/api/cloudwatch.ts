import { CloudWatchClient, PutMetricDataCommand } from "@aws-sdk/client-cloudwatch";
import type { PoolBacklog } from "../store/backlog";

/** Tells somebody how much work waits, as of the minute that began at `minute`. */
export type PublishBacklog = (backlog: readonly PoolBacklog[], minute: Date) => Promise<void>;

/** Most datapoints of one call. https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html */
const MOST_DATAPOINTS = 1_000;

/**
 * Publishes `BacklogJobs` and `BacklogAge` of each pool, by which fleets scale, to CloudWatch: region and credentials come from the SDK's
 * default chain.
 *
 * @param namespace `{product}/workers`, as the fleet's alarms and policies read it.
 */
export function cloudWatchBacklog(namespace: string, client = new CloudWatchClient({})): PublishBacklog {
  return async (backlog, minute) => {
    const datapoints = backlog.flatMap(({ deployment, pool, jobs, ageSeconds }) => {
      const shared = {
        Timestamp: minute,
        Dimensions: [
          { Name: "Deployment", Value: deployment },
          { Name: "Pool", Value: pool },
        ],
      };
      return [
        { ...shared, MetricName: "BacklogJobs", Unit: "Count" as const, Value: jobs },
        { ...shared, MetricName: "BacklogAge", Unit: "Seconds" as const, Value: ageSeconds },
      ];
    });
    for (let first = 0; first < datapoints.length; first += MOST_DATAPOINTS) {
      const MetricData = datapoints.slice(first, first + MOST_DATAPOINTS);
      await client.send(new PutMetricDataCommand({ Namespace: namespace, MetricData }));
    }
  };
}
