import type { Correction } from "./correction";
import { groupSettings } from "./corrections/group-settings";
import { launchTemplateTags } from "./corrections/launch-template-tags";
import { lifecycleHookNotifications } from "./corrections/lifecycle-hook-notifications";
import { logGroupClass } from "./corrections/log-group-class";
import { mixedInstancesPolicy } from "./corrections/mixed-instances-policy";
import { scalingPolicies } from "./corrections/scaling-policies";
import { securityGroupRuleDescriptions } from "./corrections/security-group-rule-descriptions";

/** Every correction, with an empty memory. Those of one action apply in this order. */
export function corrections(): readonly Correction[] {
  return [
    groupSettings(),
    mixedInstancesPolicy(),
    lifecycleHookNotifications(),
    scalingPolicies(),
    launchTemplateTags(),
    securityGroupRuleDescriptions(),
    logGroupClass(),
  ];
}
