/** What one version of a launch template is asked for by; `$Latest`, `$Default` and a missing version are resolved at each launch. */
export interface TemplateReference {
  readonly id: string;
  readonly version?: string;
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_MixedInstancesPolicy.html */
export interface MixedInstances {
  readonly template: TemplateReference;
  /** In order of preference: an instance type, and the template that it needs in place of the policy's. */
  readonly overrides: readonly { readonly instanceType?: string; readonly template?: TemplateReference }[];
  /** So many instances are On-Demand before any is Spot. */
  readonly onDemandBase: number;
  /** Of the instances above the base. */
  readonly onDemandPercent: number;
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AutoScalingGroup.html */
export interface ScalingGroup {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly desired: number;
  readonly template?: TemplateReference;
  readonly mixed?: MixedInstances;
  readonly zones: readonly string[];
  readonly subnetIds: readonly string[];
  readonly suspended: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  /** https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-maintenance-policy.html */
  readonly maintenance?: { readonly minHealthyPercent: number; readonly maxHealthyPercent: number };
  /** Instances are kept after an abandoned termination (`Terminating:Retained`). */
  readonly retainsInstances: boolean;
  /** New instances are protected from scale-in. */
  readonly protectsNew?: boolean;
  readonly instances: readonly Member[];
}

/** What a group is made or changed with. */
export type GroupChange = Partial<Omit<ScalingGroup, "name" | "instances">>;

/** An instance of a group. */
export interface Member {
  readonly id: string;
  /** https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html */
  readonly lifecycle: string;
  readonly healthy: boolean;
  readonly template?: { readonly id: string; readonly version: string; readonly name?: string };
  readonly zone?: string;
  readonly instanceType?: string;
  readonly spot?: boolean;
  readonly protectedFromScaleIn?: boolean;
  readonly launchedMs?: number;
  /** When it last entered service. */
  readonly inServiceMs?: number;
}

export type HookResult = "CONTINUE" | "ABANDON";

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LifecycleHook.html */
export interface LifecycleHook {
  readonly name: string;
  readonly transition: "launching" | "terminating";
  readonly heartbeatMs: number;
  readonly globalMs: number;
  /** What becomes of a wait that nobody ends. @default "ABANDON" */
  readonly defaultResult?: HookResult;
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Activity.html */
export interface ScalingActivity {
  readonly id: string;
  readonly status: string;
  readonly startedMs: number;
  readonly endedMs?: number;
  readonly description: string;
  readonly cause: string;
  readonly message: string;
}

/** What a group asks EC2 for. */
export interface LaunchOrder {
  readonly group: string;
  readonly template: TemplateReference;
  readonly zone: string;
  readonly subnetId?: string;
  /** In place of the template's own. */
  readonly instanceType?: string;
  readonly spot: boolean;
  readonly tags: Readonly<Record<string, string>>;
}

export interface Launched {
  readonly id: string;
  readonly template: { readonly id: string; readonly version: string; readonly name?: string };
  readonly zone: string;
  readonly instanceType?: string;
}

/** EC2 would not start an instance; the reason is what a scaling activity shows. */
export interface LaunchRefused {
  readonly refused: string;
}

/** EC2 as a group sees it. */
export interface Capacity {
  /** Answers once, at once or later. */
  launch(order: LaunchOrder, answer: (outcome: Launched | LaunchRefused) => void): void;
  terminate(instanceId: string): void;
  state(instanceId: string): string | undefined;
}
