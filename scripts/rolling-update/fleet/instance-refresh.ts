/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRefresh.html */
export const REFRESH_STATUSES = [
  "Pending",
  "InProgress",
  "Baking",
  "Cancelling",
  "RollbackInProgress",
  "Successful",
  "Failed",
  "Cancelled",
  "RollbackSuccessful",
  "RollbackFailed",
] as const;
export type RefreshStatus = (typeof REFRESH_STATUSES)[number];

const UNDER_WAY: readonly RefreshStatus[] = ["Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress"];

export const isUnderWay = ({ status }: InstanceRefresh): boolean => UNDER_WAY.includes(status);

/** One replacement of a pool's instances, as AWS tells of it. */
export interface InstanceRefresh {
  readonly id: string;
  readonly status: RefreshStatus;
  readonly reason: string | undefined;
  readonly startedMs: number;
  /** Of the instances, replaced and warmed up. */
  readonly percent: number;
  readonly remaining: number;
  /** Percentages at which it waits for `checkpointDelayMs`; empty where it does not. */
  readonly checkpoints: readonly number[];
  readonly checkpointDelayMs: number;
  /** CloudWatch alarms that fail it. */
  readonly alarms: readonly string[];
  readonly rollsBackByItself: boolean;
}

/** How a refresh that is started here goes; what is left out is AWS's default. */
export interface RefreshPreferences {
  /**
   * Version of the group's launch template that the pool goes to, and that is the group's own in the end. Without it the pool
   * goes to what the group launches already, and AWS knows no way back.
   */
  readonly templateVersion?: number;
  readonly minHealthyPercent?: number;
  readonly maxHealthyPercent?: number;
  readonly warmupSeconds?: number;
  readonly bakeSeconds?: number;
  readonly checkpoints?: readonly number[];
  readonly checkpointDelaySeconds?: number;
  readonly alarms?: readonly string[];
  readonly autoRollback?: boolean;
}

/** What following a refresh needs of AWS: one method per API action. Adapter: `aws/instance-refreshes.ts`. */
export interface InstanceRefreshes {
  /** autoscaling:DescribeInstanceRefreshes, newest first. */
  describe(group: string): Promise<readonly InstanceRefresh[]>;
  /** autoscaling:DescribeScalingActivities: messages of launches that failed at or after `sinceMs`, newest first. */
  failedLaunches(group: string, sinceMs: number): Promise<readonly string[]>;
  /** autoscaling:StartInstanceRefresh; the refresh's id. */
  start(group: string, preferences: RefreshPreferences): Promise<string>;
  /** autoscaling:CancelInstanceRefresh: what is replaced stays replaced. */
  cancel(group: string): Promise<void>;
  /** autoscaling:RollbackInstanceRefresh: back to what the group launched before. */
  rollback(group: string): Promise<void>;
}
