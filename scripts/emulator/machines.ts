/** An instance as EC2 has just launched it. */
export interface LaunchedInstance {
  readonly id: string;
  readonly imageId: string;
  readonly hostname: string;
  readonly privateIp: string;
  /** Of the primary interface: a fixed interface keeps it, so peers need not learn a new one. */
  readonly macAddress: string;
}

/** What stands for an instance while it runs: nothing at all, a container, a virtual machine. */
export interface Machine {
  /** Resolves once it runs no longer, whatever ended it. */
  readonly ended: Promise<void>;
  /** The operating system's own shutdown, then the end; EC2 sets no limit to how long it takes. */
  shutdown(): Promise<void>;
  /** A power cut. */
  kill(): Promise<void>;
  reboot(): Promise<void>;
  /** Makes a volume appear while the machine runs, under the name that EC2 gives it. @throws Error where it is attached elsewhere. */
  attach(volumeId: string, device: string): Promise<void>;
  detach(volumeId: string): Promise<void>;
  /** What `GetConsoleOutput` shows. */
  console(): Promise<string>;
  /** Runs a command inside as root; what it printed. @throws CommandFailed, or Error where the machine does not run. */
  exec(...command: string[]): Promise<string>;
}

/** A kind of machine. */
export interface Machines {
  start(instance: LaunchedInstance): Promise<Machine>;
  /** Blank storage of the volume's size, kept until {@link deleteVolume}: machines come and go. */
  createVolume(volumeId: string, sizeGiB: number): Promise<void>;
  /** Grows a volume, also while it is attached. */
  growVolume(volumeId: string, sizeGiB: number): Promise<void>;
  deleteVolume(volumeId: string): Promise<void>;
  /** Ends and removes everything that this object has made. */
  stop(): Promise<void>;
}

/** What an instance can know of itself, and the metadata service tells it. */
export interface InstanceFacts extends LaunchedInstance {
  readonly accountId: string;
  readonly region: string;
  readonly zone: string;
  readonly instanceType: string;
  readonly subnetId: string;
  readonly vpcId: string;
  readonly interfaceId: string;
  readonly launchedMs: number;
  /** As the launch gave it, decoded once: what `latest/user-data` answers with. */
  readonly userData: Buffer | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /** Whether it was launched so that its metadata tells its tags. */
  readonly tellsTags: boolean;
  /** The instance profile's ARN, and the role that it holds. */
  readonly profile: { readonly arn: string; readonly role: string; readonly roleArn: string } | undefined;
  /**
   * What Auto Scaling wants the instance to become; undefined for one that is in no group.
   * https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html
   */
  readonly targetLifecycleState: "InService" | "Terminated" | undefined;
  readonly notice: Notice;
}

/** What EC2 announces to an instance, through its metadata. */
export interface Notice {
  /**
   * When a Spot Instance is going to be terminated; EC2 says so two minutes ahead.
   * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
   */
  readonly spotInterruptionAt?: Date;
  /** When a raised risk of it was announced. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html */
  readonly rebalanceRecommendedAt?: Date;
}

/** An instance that has begun to wait in its group's lifecycle hooks. */
export interface HookWait {
  readonly region: string;
  readonly instanceId: string;
  readonly group: string;
  readonly transition: "launching" | "terminating";
  readonly hooks: readonly string[];
}

/** The emulated AWS as what makes machines sees it. */
export interface AwsOfMachines {
  /** Where every service answers. */
  readonly url: string;
  /** Of an instance that has not gone, by its id or its private address. */
  facts(of: { readonly instanceId: string } | { readonly privateIp: string }): Promise<InstanceFacts | undefined>;
  onWait(listener: (wait: HookWait) => void): void;
}
