import { CloudwatchEventRule } from "@cdktf/provider-aws/lib/cloudwatch-event-rule";
import { CloudwatchEventTarget } from "@cdktf/provider-aws/lib/cloudwatch-event-target";
import { CloudwatchMetricAlarm } from "@cdktf/provider-aws/lib/cloudwatch-metric-alarm";
import { Fn, Token } from "cdktf";
import { Construct } from "constructs";
import { hcl } from "../publish/expressions";
import { jsonTemplate } from "../user-data/json-text";

export interface EventAlarmProps {
  /** Of rule and alarm. May be a token. */
  readonly name: string;
  /** What the alarm means, and where to look. */
  readonly description: string;
  /** Fields with the values of which one must match; values may be tokens. */
  readonly pattern: Readonly<Record<string, unknown>>;
  /** SNS topics; may be a token, as a whole, whose length is known at plan. */
  readonly topicArns: string[];
  /** A Terraform condition. @default - there is an alarm */
  readonly enabled?: string;
}

/**
 * An alarm that an event of AWS raises. The event itself also goes to the topics, as far as their policies let
 * `events.amazonaws.com` publish.
 *
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern.html
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
 *
 * @throws Error naming the name and its length for one that EventBridge does not take.
 */
export class EventAlarm extends Construct {
  public constructor(scope: Construct, id: string, props: EventAlarmProps) {
    super(scope, id);
    const { name, description, pattern, topicArns, enabled } = props;
    checkName(name);
    const rule = new CloudwatchEventRule(this, "rule", { name, description, eventPattern: jsonTemplate(pattern) });
    const alarm = new CloudwatchMetricAlarm(this, "alarm", {
      alarmName: name,
      alarmDescription: description,
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

/** https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html */
const MAX_RULE_NAME = 64;

function checkName(name: string): void {
  if (Token.isUnresolved(name) || name.length <= MAX_RULE_NAME) return;
  throw new Error(
    `event rule name (${name}) has ${name.length} characters; EventBridge admits ${MAX_RULE_NAME}: shorten the cluster's`,
  );
}
