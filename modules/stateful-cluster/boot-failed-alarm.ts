import { CloudwatchEventRule } from "@cdktf/provider-aws/lib/cloudwatch-event-rule";
import { CloudwatchEventTarget } from "@cdktf/provider-aws/lib/cloudwatch-event-target";
import { CloudwatchMetricAlarm } from "@cdktf/provider-aws/lib/cloudwatch-metric-alarm";
import { Fn, Token } from "cdktf";
import { Construct } from "constructs";
import { hcl } from "../publish/expressions";
import { jsonTemplate } from "../user-data/json-text";

export interface BootFailedAlarmProps {
  /** May be a token. */
  readonly clusterName: string;
  /** SNS topics; may be a token, as a whole, whose length is known at plan. */
  readonly topicArns: string[];
  /** A Terraform condition. @default - there is an alarm */
  readonly enabled?: string;
}

const TAG = "holdfast:boot";

/**
 * The alarm `{cluster}-boot-failed`. An agent whose boot failed tags its instance, which EventBridge tells of at once; an instance
 * that never got so far is given up when its launch hook runs out, which Auto Scaling tells of.
 *
 * The event, with step and reason in the tag, also goes to the topics themselves, as far as their policies let
 * `events.amazonaws.com` publish.
 *
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-ref-aws-service-tag-change.html
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html
 */
export class BootFailedAlarm extends Construct {
  public constructor(scope: Construct, id: string, props: BootFailedAlarmProps) {
    super(scope, id);
    const { clusterName, topicArns, enabled } = props;
    const name = `${clusterName}-boot-failed`;
    const rule = new CloudwatchEventRule(this, "rule", {
      name,
      description: "A node did not come up, or its instance was given up.",
      eventPattern: jsonTemplate(eventPattern(`${clusterName}-node-`)),
    });
    const alarm = new CloudwatchMetricAlarm(this, "alarm", {
      alarmName: name,
      alarmDescription:
        `A node did not come up. Its instance's tag ${TAG} says at which step and why; holdfast-node logs, in a session on the ` +
        "instance, says the rest.",
      namespace: "AWS/Events",
      metricName: "MatchedEvents",
      dimensions: { RuleName: name },
      statistic: "Sum",
      period: 60,
      comparisonOperator: "GreaterThanThreshold",
      threshold: 0,
      evaluationPeriods: 1,
      // EventBridge counts matches only where there are any.
      treatMissingData: "notBreaching",
      alarmActions: topicArns,
    });
    const target = new CloudwatchEventTarget(this, "topic", {
      rule: rule.name,
      arn: Token.asString(Fn.element(topicArns, Token.asNumber(hcl("count.index")))),
    });
    target.addOverride("count", Fn.lengthOf(topicArns));
    if (enabled === undefined) return;
    for (const resource of [rule, alarm]) resource.addOverride("count", hcl(`${enabled} ? 1 : 0`));
    // What has a count is referred to by its index.
    target.addOverride("rule", hcl(`one(${rule.fqn}[*].name)`));
  }
}

/** Names begin so, since a pattern of 2,048 characters has no room for the names of a hundred nodes. */
function eventPattern(prefix: string) {
  return {
    $or: [
      {
        source: ["aws.tag"],
        "detail-type": ["Tag Change on Resource"],
        detail: {
          "changed-tag-keys": [TAG],
          service: ["ec2"],
          "resource-type": ["instance"],
          tags: { [TAG]: [{ prefix: "failed" }], Name: [{ prefix }] },
        },
      },
      {
        source: ["aws.autoscaling"],
        "detail-type": ["EC2 Instance Launch Unsuccessful"],
        detail: { AutoScalingGroupName: [{ prefix }] },
      },
    ],
  };
}
