/**
 * What the roller needs of AWS: one method per API action, answers reduced to the fields it decides on.
 * Adapters: `aws/` (the SDK) and `simulator/` (virtual time).
 */
export interface Cloud {
  /** sts:GetCallerIdentity, with the region the client is bound to. */
  identity(): Promise<{ readonly accountId: string; readonly region: string }>;
  /** autoscaling:DescribeAutoScalingGroups; groups that do not exist are missing from the answer. */
  describeGroups(names: readonly string[]): Promise<readonly Group[]>;
  /** autoscaling:DescribeScalingActivities of one group, newest first, started at or after `sinceMs`. */
  describeActivities(groupName: string, sinceMs: number): Promise<readonly Activity[]>;
  /** autoscaling:DescribeLifecycleHooks */
  describeHooks(groupName: string): Promise<readonly Hook[]>;
  /** ec2:DescribeInstances; ids EC2 does not know (yet, or any more) are missing from the answer. */
  describeInstances(ids: readonly string[]): Promise<readonly Instance[]>;
  /** ec2:DescribeNetworkInterfaces */
  describeInterfaces(ids: readonly string[]): Promise<readonly NetworkInterface[]>;
  /** ec2:DescribeVolumes */
  describeVolumes(ids: readonly string[]): Promise<readonly Volume[]>;
  /** ec2:DescribeLaunchTemplateVersions: what a version number, `$Latest` or `$Default` stands for now. */
  describeTemplate(id: string, version: string): Promise<TemplateVersion>;
  /** ec2:DescribeAvailabilityZones: names of zones that are not fully available. */
  impairedZones(): Promise<readonly string[]>;
  /** ec2:GetConsoleOutput */
  consoleOutput(instanceId: string): Promise<string>;
  /** cloudwatch:DescribeAlarms: those of the names that are in ALARM. */
  firingAlarms(names: readonly string[]): Promise<readonly string[]>;

  /** autoscaling:SuspendProcesses, only `Launch`. */
  suspendLaunch(groupName: string): Promise<void>;
  /** autoscaling:ResumeProcesses, only `Launch`. */
  resumeLaunch(groupName: string): Promise<void>;
  /** autoscaling:TerminateInstanceInAutoScalingGroup */
  terminate(instanceId: string, decrementDesired: boolean): Promise<void>;
  /** autoscaling:CompleteLifecycleAction with ABANDON. */
  abandon(groupName: string, hookName: string, instanceId: string): Promise<void>;
  /** autoscaling:RecordLifecycleActionHeartbeat */
  heartbeat(groupName: string, hookName: string, instanceId: string): Promise<void>;
  /** autoscaling:UpdateAutoScalingGroup: minimum and desired size. */
  resize(groupName: string, size: { readonly min: number; readonly desired: number }): Promise<void>;
  /** autoscaling:UpdateAutoScalingGroup: launch template version. */
  setTemplate(groupName: string, template: Template): Promise<void>;
}

/** The methods of {@link Cloud} that change something: refused without the lock, absent from a plan. */
export const MUTATIONS = [
  "suspendLaunch",
  "resumeLaunch",
  "terminate",
  "abandon",
  "heartbeat",
  "resize",
  "setTemplate",
] as const satisfies readonly (keyof Cloud)[];

/** A launch template at one numbered version: what a node is a release of. */
export interface Template {
  readonly id: string;
  readonly version: number;
}

export interface Group {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly desired: number;
  /** Undefined for a launch configuration or a mixed instances policy. The version may be `$Latest`, `$Default` or absent. */
  readonly template?: { readonly id: string; readonly version?: string };
  readonly zones: readonly string[];
  /** VPCZoneIdentifier was set by subnet id, not derived from zones. */
  readonly subnetIds: readonly string[];
  readonly suspended: readonly string[];
  readonly maintenance?: { readonly minHealthyPercent: number; readonly maxHealthyPercent: number };
  /** Instances are kept after an abandoned termination (`Terminating:Retained`). */
  readonly retainsInstances: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly instances: readonly GroupInstance[];
}

export interface GroupInstance {
  readonly id: string;
  /** https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html */
  readonly lifecycle: string;
  readonly healthy: boolean;
  readonly template?: { readonly id: string; readonly version: string };
}

export interface Instance {
  readonly id: string;
  readonly state: "pending" | "running" | "shutting-down" | "terminated" | "stopping" | "stopped";
  readonly tags: Readonly<Record<string, string>>;
}

export interface NetworkInterface {
  readonly id: string;
  readonly status: string;
  readonly zone: string;
  readonly ip: string;
  readonly instanceId?: string;
  readonly deleteOnTermination: boolean;
}

export interface Volume {
  readonly id: string;
  readonly state: string;
  readonly zone: string;
  readonly instanceId?: string;
  readonly deleteOnTermination: boolean;
}

export interface TemplateVersion extends Template {
  readonly spot: boolean;
  readonly interfaces: readonly { readonly id: string; readonly deleteOnTermination: boolean }[];
}

export interface Activity {
  readonly id: string;
  readonly status: string;
  readonly startedMs: number;
  readonly description: string;
  readonly message: string;
}

export interface Hook {
  readonly name: string;
  readonly transition: "launching" | "terminating";
  readonly heartbeatMs: number;
  readonly globalMs: number;
}

/** How an error of AWS is to be met. */
export type CloudErrorKind = "transient" | "denied" | "invalid";

/** An API call that AWS refused, with AWS's own code and sentence. */
export class CloudError extends Error {
  constructor(
    readonly action: string,
    readonly code: string,
    message: string,
    readonly kind: CloudErrorKind = kindOf(code),
  ) {
    super(message);
    this.name = "CloudError";
  }
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/CommonErrors.html and the EC2 list of the same name. */
const TRANSIENT =
  /^(Throttl|RequestLimitExceeded|ResourceContention|ScalingActivityInProgress|ServiceUnavailable|Internal|RequestTimeout|TimeoutError|TooManyUpdates|ECONN|EAI_AGAIN|ETIMEDOUT|Unavailable)/;
const DENIED =
  /^(AccessDenied|UnauthorizedOperation|ExpiredToken|InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch|AuthFailure|CredentialsProviderError|OptInRequired|InvalidSignature|TokenRefreshRequired|RequestExpired)/;

function kindOf(code: string): CloudErrorKind {
  if (TRANSIENT.test(code)) return "transient";
  return DENIED.test(code) ? "denied" : "invalid";
}
