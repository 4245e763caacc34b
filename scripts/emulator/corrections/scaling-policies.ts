import type { Correction } from "../correction";
import { mapTreesAt, textAt, without } from "../tree";
import { groupMemory } from "./group-memory";

/**
 * A scaling policy is enabled unless its request said otherwise, and has a predictive configuration only where it was given
 * one; moto leaves out the first and writes an empty second.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutScalingPolicy.html
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_ScalingPolicy.html
 */
export function scalingPolicies(): Correction {
  const enabled = groupMemory<string>();
  return {
    service: "autoscaling",
    answers: {
      PutScalingPolicy: (result, request) => {
        const name = textAt(request.parameters, "PolicyName") ?? "";
        enabled.of(request).set(name, textAt(request.parameters, "Enabled") ?? "true");
        return result;
      },
      DeleteAutoScalingGroup: (result, request) => {
        enabled.forget(request);
        return result;
      },
      DescribePolicies: (result, request) =>
        mapTreesAt(result, "ScalingPolicies", (policy) => {
          const given = policy["PredictiveScalingConfiguration"] === "" ? ["PredictiveScalingConfiguration"] : [];
          const known = enabled.of(request, policy).get(textAt(policy, "PolicyName") ?? "");
          return { ...without(policy, ...given), Enabled: known ?? "true" };
        }),
    },
  };
}
