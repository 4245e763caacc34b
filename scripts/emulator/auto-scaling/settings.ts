import { isTree, type Tree, textAt, treeAt, treesAt, type Value, without } from "../tree";

interface Setting {
  /** What a group has that was never given one. */
  readonly initial?: Value;
  /** The value by which a request takes a group's own away. */
  readonly cleared?: (value: Value) => boolean;
}

/**
 * What a group is told and tells, and acts on in no way here: a group has each setting that its last request named.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AutoScalingGroup.html
 */
const SETTINGS: Readonly<Record<string, Setting>> = {
  AvailabilityZoneDistribution: { initial: { CapacityDistributionStrategy: "balanced-best-effort" } },
  CapacityRebalance: { initial: "false" },
  CapacityReservationSpecification: { initial: { CapacityReservationPreference: "default" } },
  Context: {},
  DefaultCooldown: { initial: "300" },
  DefaultInstanceWarmup: { cleared: (value) => value === "-1" },
  DesiredCapacityType: {},
  HealthCheckGracePeriod: { initial: "0" },
  HealthCheckType: { initial: "EC2" },
  InstanceLifecyclePolicy: {},
  InstanceMaintenancePolicy: {
    cleared: (value) => isTree(value) && textAt(value, "MinHealthyPercentage") === "-1",
  },
  LoadBalancerNames: {},
  MaxInstanceLifetime: { cleared: (value) => value === "0" },
  NewInstancesProtectedFromScaleIn: { initial: "false" },
  PlacementGroup: { cleared: (value) => value === "" },
  ServiceLinkedRoleARN: {},
  TargetGroupARNs: {},
  TerminationPolicies: { initial: ["Default"], cleared: (value) => value === "" },
  TrafficSources: {},
};

/** The parameters by which a request says what a group launches; it names one of them at most. */
const LAUNCHES = ["MixedInstancesPolicy", "LaunchTemplate"] as const;

/** The settings of a group after a request: those that it names, and those that were. */
export function changedSettings(before: Tree, request: Tree): Tree {
  const named = Object.entries(SETTINGS).filter(([name]) => request[name] !== undefined);
  const cleared = named.filter(([name, { cleared }]) => cleared?.(request[name] ?? "")).map(([name]) => name);
  const launches = LAUNCHES.filter((name) => request[name] !== undefined);
  const kept = launches.length > 0 ? without(before, ...LAUNCHES) : before;
  const changed = [...named.map(([name]) => name), ...launches].map((name) => [name, request[name]]);
  return without({ ...kept, ...Object.fromEntries(changed) }, ...cleared);
}

/** A group's settings as it is described with. */
export function describedSettings(settings: Tree): Tree {
  const initial = Object.entries(SETTINGS).flatMap(([name, setting]): [string, Value][] =>
    setting.initial === undefined ? [] : [[name, setting.initial]],
  );
  const policy = settings["MixedInstancesPolicy"];
  return {
    ...Object.fromEntries(initial),
    ...settings,
    ...(isTree(policy) ? { MixedInstancesPolicy: withDefaults(policy) } : {}),
  };
}

/** Whatever a policy leaves open. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html */
export function withDefaults(policy: Tree): Tree {
  const given = treeAt(policy, "InstancesDistribution");
  const byAttributes = treesAt(treeAt(policy, "LaunchTemplate"), "Overrides").some(
    (override) => override["InstanceRequirements"] !== undefined,
  );
  const distribution: Tree = {
    OnDemandAllocationStrategy: byAttributes ? "lowest-price" : "prioritized",
    OnDemandBaseCapacity: "0",
    OnDemandPercentageAboveBaseCapacity: "100",
    SpotAllocationStrategy: "lowest-price",
    ...given,
  };
  const pools = distribution["SpotAllocationStrategy"] === "lowest-price" ? { SpotInstancePools: "2" } : {};
  return { ...policy, InstancesDistribution: { ...pools, ...distribution } };
}
