import { awsMetric } from "./aws-metrics";
import { type Metric, type PoolIdentity, poolMetric } from "./metrics";

/** Where the pool's waiting work is counted. */
export type Backlog =
  | {
      /** Messages of an SQS queue. An idle queue stops emitting after about six hours and takes up to 15 minutes to resume. */
      readonly kind: "sqs";
      readonly queueName: string;
      /**
       * Messages that may wait for each instance: acceptable wait divided by the time one message occupies an instance.
       * @default - `jobsPerInstance`
       */
      readonly messagesPerInstance?: number;
    }
  /** Pending jobs, pushed every minute by the control plane, also while the pool has no worker. */
  | { readonly kind: "control-plane" };

/** The pool's backlog as a metric. */
export function backlogMetric(identity: PoolIdentity, backlog: Backlog): Metric {
  return backlog.kind === "sqs"
    ? awsMetric("AWS/SQS", "ApproximateNumberOfMessagesVisible", backlog.queueName)
    : poolMetric(identity, "BacklogJobs");
}
