import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import { FlowLog } from "@cdktf/provider-aws/lib/flow-log";
import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import { Construct } from "constructs";
import { AwsEnvironment } from "../iam/aws-environment";
import { policyDocument } from "../iam/policy-document";
import { checkedRoleName } from "../iam/role-name";

export interface FlowLogSettings {
  /** Which connections are recorded. @default ALL */
  readonly traffic?: "ACCEPT" | "REJECT" | "ALL";
  /** How long they are kept; one of the numbers that CloudWatch Logs takes. @default 30 */
  readonly retentionDays?: number;
  /** ARN of the key that encrypts the log group. @default - CloudWatch's own key */
  readonly kmsKeyArn?: string;
  /** Path of the delivery role. @default /holdfast/ */
  readonly rolePath?: string;
  /** ARN of the policy that bounds the delivery role. @default - the role's own policy */
  readonly permissionsBoundaryArn?: string;
}

export interface FlowLogsProps extends FlowLogSettings {
  readonly name: string;
  readonly vpcId: string;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * Records the connections of a VPC in a log group of its own.
 *
 * @see https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
 */
export class FlowLogs extends Construct {
  public readonly logGroupName: string;

  public constructor(scope: Construct, id: string, props: FlowLogsProps) {
    super(scope, id);
    const { name, vpcId, rolePath = "/holdfast/" } = props;
    const tags = { ...props.tags, Name: name };
    const aws = AwsEnvironment.of(this);
    const logGroupName = `/aws/vpc/${name}/flow-logs`;
    const roleName = checkedRoleName(`${name}-flow-logs`);

    const group = new CloudwatchLogGroup(this, "log_group", {
      name: logGroupName,
      retentionInDays: props.retentionDays ?? 30,
      ...(props.kmsKeyArn !== undefined && { kmsKeyId: props.kmsKeyArn }),
      tags,
    });
    const policy = new IamPolicy(this, "policy", {
      name: roleName,
      path: rolePath,
      description: `What the flow log delivery of ${name} may do, and at most`,
      policy: policyDocument([
        {
          sid: "WriteFlowLogs",
          actions: ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
          resources: [aws.arn("logs", `log-group:${logGroupName}:*`)],
        },
      ]),
      tags,
    });
    const role = new IamRole(this, "role", {
      name: roleName,
      path: rolePath,
      description: `Flow log delivery of ${name}`,
      assumeRolePolicy: policyDocument([
        {
          sid: "FlowLogs",
          principals: { Service: "vpc-flow-logs.amazonaws.com" },
          actions: ["sts:AssumeRole"],
          conditions: { StringEquals: { "aws:SourceAccount": aws.accountId } },
        },
      ]),
      permissionsBoundary: props.permissionsBoundaryArn ?? policy.arn,
      tags,
    });
    const attachment = new IamRolePolicyAttachment(this, "policy_attachment", {
      role: role.name,
      policyArn: policy.arn,
    });
    new FlowLog(this, "flow_log", {
      vpcId,
      trafficType: props.traffic ?? "ALL",
      logDestinationType: "cloud-watch-logs",
      logDestination: group.arn,
      iamRoleArn: role.arn,
      tags,
      dependsOn: [attachment],
    });
    this.logGroupName = logGroupName;
  }
}
