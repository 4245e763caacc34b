import type { Correction } from "./correction";
import { launchTemplateTags } from "./corrections/launch-template-tags";
import { logGroupClass } from "./corrections/log-group-class";
import { scalingPolicies } from "./corrections/scaling-policies";
import { securityGroupRuleDescriptions } from "./corrections/security-group-rule-descriptions";

/** Every correction of what moto forgets, with an empty memory. Those of one action apply in this order. */
export function corrections(): readonly Correction[] {
  return [scalingPolicies(), launchTemplateTags(), securityGroupRuleDescriptions(), logGroupClass()];
}
