import { CloudWatchClient, type CloudWatchClientConfig, PutMetricDataCommand } from "@aws-sdk/client-cloudwatch";
import type { PoolBacklog } from "../store/backlog";

/** Tells somebody how much work waits, as of the minute that began at `minute`, unless it is given up before. */
export type PublishBacklog = (backlog: readonly PoolBacklog[], minute: Date, givenUp: AbortSignal) => Promise<void>;

/** Most datapoints of one call. https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html */
const MOST_DATAPOINTS = 1_000;

/** Left to itself the SDK waits without an end, and says no more of a request that takes too long than that it does. */
const PATIENCE = { connectionTimeout: 2_000, requestTimeout: 5_000, throwOnRequestTimeout: true };

/**
 * Publishes `BacklogJobs` and `BacklogAge` of each pool, by which fleets scale, to CloudWatch: region and credentials come from the SDK's
 * default chain.
 *
 * @param namespace `{product}/workers`, as the fleet's alarms and policies read it.
 * @param config of the client, beside the patience that it has
 */
export function cloudWatchBacklog(namespace: string, config: CloudWatchClientConfig = {}): PublishBacklog {
  const client = new CloudWatchClient({ requestHandler: PATIENCE, ...config });
  return async (backlog, minute, givenUp) => {
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
      await client.send(new PutMetricDataCommand({ Namespace: namespace, MetricData }), {
        abortSignal: givenUp,
      });
    }
  };
}
