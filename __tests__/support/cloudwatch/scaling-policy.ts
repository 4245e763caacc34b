/** An `aws_autoscaling_policy` as Terraform JSON has it; step and simple scaling by change in capacity. */
export interface SynthesizedPolicy {
  readonly name: string;
  readonly policy_type: "StepScaling" | "SimpleScaling" | "TargetTrackingScaling";
  readonly adjustment_type?: "ChangeInCapacity";
  readonly scaling_adjustment?: number;
  readonly cooldown?: number;
  readonly estimated_instance_warmup?: number;
  readonly step_adjustment?: readonly {
    readonly scaling_adjustment: number;
    readonly metric_interval_lower_bound?: string;
    readonly metric_interval_upper_bound?: string;
  }[];
}

/** What a policy needs to know of its group. Times are in minutes. */
export interface GroupState {
  readonly minSize: number;
  readonly maxSize: number;
  readonly desired: number;
  /** Instances that boot or whose warm-up is not over. */
  readonly warming: number;
  /** An instance is being launched or terminated. */
  readonly activityInProgress: boolean;
  /** When the last scaling activity ended. */
  readonly lastActivityEnd: number;
}

/**
 * The desired capacity a policy asks for when its alarm invokes it with `value`.
 *
 * Step scaling adds to the capacity that has warmed up, and never asks for less than is already on its way; simple scaling waits
 * for the activity before it and for its own cooldown.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html
 */
export function requestedCapacity(
  policy: SynthesizedPolicy,
  value: number,
  threshold: number,
  group: GroupState,
  now: number,
): number {
  const clamp = (capacity: number) => Math.min(group.maxSize, Math.max(group.minSize, capacity));
  if (policy.policy_type === "SimpleScaling") {
    const coolUntil = group.lastActivityEnd + (policy.cooldown ?? 300) / 60;
    if (group.activityInProgress || now < coolUntil) return group.desired;
    return clamp(group.desired + (policy.scaling_adjustment ?? 0));
  }
  const breach = value - threshold;
  const step = policy.step_adjustment?.find(
    ({ metric_interval_lower_bound: lower, metric_interval_upper_bound: upper }) =>
      breach >= Number(lower ?? Number.NEGATIVE_INFINITY) && breach < Number(upper ?? Number.POSITIVE_INFINITY),
  );
  if (step === undefined) return group.desired;
  return Math.max(group.desired, clamp(group.desired - group.warming + step.scaling_adjustment));
}
