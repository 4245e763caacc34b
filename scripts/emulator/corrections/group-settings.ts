import type { AwsRequest, Correction } from "../correction";
import { isTree, mapTreesAt, textAt, type Value, without } from "../tree";
import { groupMemory } from "./group-memory";

interface Setting {
  /** What a group has that was never given one. */
  readonly initial?: Value;
  /** The value by which a request takes a group's own away. */
  readonly cleared?: (value: Value) => boolean;
}

/** What moto takes at a group's creation, its update or both, and does not give back. */
const SETTINGS: Readonly<Record<string, Setting>> = {
  AvailabilityZoneDistribution: { initial: { CapacityDistributionStrategy: "balanced-best-effort" } },
  CapacityRebalance: { initial: "false" },
  CapacityReservationSpecification: { initial: { CapacityReservationPreference: "default" } },
  Context: {},
  DefaultCooldown: { initial: "300" },
  DefaultInstanceWarmup: { cleared: (value) => value === "-1" },
  DesiredCapacityType: {},
  InstanceMaintenancePolicy: {
    cleared: (value) => isTree(value) && textAt(value, "MinHealthyPercentage") === "-1",
  },
  MaxInstanceLifetime: { cleared: (value) => value === "0" },
  PlacementGroup: { cleared: (value) => value === "" },
  TerminationPolicies: { initial: ["Default"], cleared: (value) => value === "" },
};

/**
 * A group has each setting that its last request named, and an update leaves the others as they are.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AutoScalingGroup.html
 */
export function groupSettings(): Correction {
  const known = groupMemory<Value>();
  const remember = (request: AwsRequest) => {
    for (const [name, { cleared }] of Object.entries(SETTINGS)) {
      const value = request.parameters[name];
      if (value !== undefined && cleared?.(value)) {
        known.of(request).delete(name);
      } else if (value !== undefined) {
        known.of(request).set(name, value);
      }
    }
  };
  return {
    service: "autoscaling",
    answers: {
      CreateAutoScalingGroup: (result, request) => {
        known.forget(request);
        remember(request);
        return result;
      },
      UpdateAutoScalingGroup: (result, request) => {
        remember(request);
        return result;
      },
      DeleteAutoScalingGroup: (result, request) => {
        known.forget(request);
        return result;
      },
      DescribeAutoScalingGroups: (result, request) =>
        mapTreesAt(result, "AutoScalingGroups", (group) => {
          const own = known.of(request, group);
          const settings = Object.entries(SETTINGS).flatMap(([name, { initial }]): [string, Value][] => {
            const value = own.get(name) ?? initial;
            return value === undefined ? [] : [[name, value]];
          });
          return { ...without(group, ...Object.keys(SETTINGS)), ...Object.fromEntries(settings) };
        }),
    },
  };
}
