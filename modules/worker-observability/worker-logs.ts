import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import { Token } from "cdktf";
import { Construct } from "constructs";
import { DEFAULT_PRODUCT } from "./metrics";

/** One log group per kind: `agent` the worker agent, `jobs` the daemons, `system` boot and host. */
export const LOG_KINDS = ["agent", "jobs", "system"] as const;
export type LogKind = (typeof LOG_KINDS)[number];

/**
 * `INFREQUENT_ACCESS` halves the price of ingestion and has no live tail, metric filters or subscriptions.
 *
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html
 */
export type LogClass = "STANDARD" | "INFREQUENT_ACCESS";

/** The retentions that PutRetentionPolicy accepts, in days. */
export const RETENTION_DAYS: readonly number[] = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

export interface WorkerLogsProps {
  /** @default "ez-cdc" */
  readonly product?: string;
  readonly deployment: string;
  /**
   * Days an event is kept.
   * @default 30
   */
  readonly retentionDays?: number;
  /**
   * ARN of a key whose policy lets `logs.{region}.amazonaws.com` use it for these groups.
   * @default - CloudWatch Logs' own encryption
   */
  readonly kmsKeyArn?: string;
  /**
   * Cannot be changed later: CloudWatch then makes Terraform replace the group and its events are lost.
   * @default - STANDARD
   */
  readonly logClass?: LogClass;
}

/** The name of a kind's group as text, for what is rendered before the group exists, such as user data. */
export function logGroupName(owner: Pick<WorkerLogsProps, "product" | "deployment">, kind: LogKind): string {
  return `/${owner.product ?? DEFAULT_PRODUCT}/workers/${owner.deployment}/${kind}`;
}

/**
 * The log groups of a deployment, there before the first worker writes: `/{product}/workers/{deployment}/{kind}`.
 *
 * Since retention and encryption are set here, no worker needs `logs:CreateLogGroup` or `logs:PutRetentionPolicy`;
 * its rights end at {@link writableArns}.
 */
export class WorkerLogs extends Construct {
  /** Every group's name, by kind: the text itself and no reference, since it is packed into user data. */
  public readonly groupNames: Readonly<Record<LogKind, string>>;
  private readonly groups: Readonly<Record<LogKind, CloudwatchLogGroup>>;

  /** @throws Error when `retentionDays` is not a retention CloudWatch Logs offers. */
  constructor(scope: Construct, id: string, props: WorkerLogsProps) {
    super(scope, id);
    const { product = DEFAULT_PRODUCT, deployment, retentionDays = 30, kmsKeyArn, logClass } = props;
    if (!Token.isUnresolved(retentionDays) && !RETENTION_DAYS.includes(retentionDays)) {
      throw new Error(
        `${this.node.path}: retentionDays (${retentionDays}) should be one of ${RETENTION_DAYS.join(", ")}`,
      );
    }
    const prefix = `/${product}/workers/${deployment}`;
    this.groupNames = { agent: `${prefix}/agent`, jobs: `${prefix}/jobs`, system: `${prefix}/system` };
    const group = (kind: LogKind) =>
      new CloudwatchLogGroup(this, kind, {
        name: this.groupNames[kind],
        retentionInDays: retentionDays,
        ...(logClass !== undefined && { logGroupClass: logClass }),
        ...(kmsKeyArn !== undefined && { kmsKeyId: kmsKeyArn }),
      });
    this.groups = { agent: group("agent"), jobs: group("jobs"), system: group("system") };
  }

  /** Every group's ARN, by kind, without a trailing `:*`. */
  public get groupArns(): Readonly<Record<LogKind, string>> {
    return { agent: this.groups.agent.arn, jobs: this.groups.jobs.arn, system: this.groups.system.arn };
  }

  /**
   * Resources for `logs:CreateLogStream`, `logs:PutLogEvents` and `logs:DescribeLogStreams`: the streams of these groups.
   *
   * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
   */
  public get writableArns(): readonly string[] {
    return LOG_KINDS.map((kind) => `${this.groups[kind].arn}:log-stream:*`);
  }
}
