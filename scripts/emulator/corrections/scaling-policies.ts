import type { AwsRequest, Correction } from "../correction";
import { mapTreesAt, type Tree, textAt, without } from "../tree";

/**
 * A scaling policy is enabled unless its request said otherwise, and has a predictive configuration only where it was given
 * one; moto leaves out the first and writes an empty second.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutScalingPolicy.html
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_ScalingPolicy.html
 */
export function scalingPolicies(): Correction {
  const enabled = new Map<string, string>();
  const key = ({ region }: AwsRequest, policy: Tree) =>
    [region, textAt(policy, "AutoScalingGroupName"), textAt(policy, "PolicyName")].join("/");
  return {
    service: "autoscaling",
    answers: {
      PutScalingPolicy: (result, request) => {
        enabled.set(key(request, request.parameters), textAt(request.parameters, "Enabled") ?? "true");
        return result;
      },
      DescribePolicies: (result, request) =>
        mapTreesAt(result, "ScalingPolicies", (policy) => {
          const given = policy["PredictiveScalingConfiguration"] === "" ? ["PredictiveScalingConfiguration"] : [];
          return { ...without(policy, ...given), Enabled: enabled.get(key(request, policy)) ?? "true" };
        }),
    },
  };
}
