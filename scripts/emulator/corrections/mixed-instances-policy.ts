import type { AwsRequest, Correction } from "../correction";
import { isTree, mapTreesAt, type Tree, treeAt, treesAt } from "../tree";
import { groupMemory } from "./group-memory";

/** The parameters by which a request says what a group launches; it names one of them at most. */
const LAUNCHES = ["MixedInstancesPolicy", "LaunchTemplate", "LaunchConfigurationName", "InstanceId"] as const;

/**
 * A group keeps its mixed instances policy through an update that does not name another; moto drops it. Whatever a policy
 * leaves open has its default in the answer.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html
 */
export function mixedInstancesPolicy(): Correction {
  const launches = groupMemory<Tree>();
  const remember = (request: AwsRequest) => {
    for (const name of LAUNCHES) {
      const value = request.parameters[name];
      if (value !== undefined) {
        launches.of(request).clear();
        launches.of(request).set(name, { [name]: value });
      }
    }
  };
  return {
    service: "autoscaling",
    requests: {
      UpdateAutoScalingGroup: (request) => ({
        ...(LAUNCHES.every((name) => request.parameters[name] === undefined) &&
          launches.of(request).get("MixedInstancesPolicy")),
        ...request.parameters,
      }),
    },
    answers: {
      CreateAutoScalingGroup: (result, request) => {
        launches.forget(request);
        remember(request);
        return result;
      },
      UpdateAutoScalingGroup: (result, request) => {
        remember(request);
        return result;
      },
      DeleteAutoScalingGroup: (result, request) => {
        launches.forget(request);
        return result;
      },
      DescribeAutoScalingGroups: (result) =>
        mapTreesAt(result, "AutoScalingGroups", (group) =>
          isTree(group["MixedInstancesPolicy"])
            ? { ...group, MixedInstancesPolicy: withDefaults(group["MixedInstancesPolicy"]) }
            : group,
        ),
    },
  };
}

function withDefaults(policy: Tree): Tree {
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
