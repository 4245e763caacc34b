import type { PolicyStatement } from "../iam/policy-document";

/** Whom a roller may roll, and how. Strings may be tokens. */
export interface RollerScope {
  readonly partition: string;
  readonly region: string;
  readonly accountId: string;
  readonly cluster: string;
  /** A tag that every group and instance of the cluster carries. */
  readonly tag: { readonly key: string; readonly value: string };
  /** What a rollback and the strategy `scale-zero` need: they change the group itself. */
  readonly changesGroups: boolean;
  /** What checks and drains on the nodes need: commands through Systems Manager. */
  readonly reachesNodes: boolean;
  /** ARN of the role that the nodes carry; of use with `changesGroups`. @default - every role of the account */
  readonly nodeRoleArn?: string;
  /** Name of the document that a roller on a node has another node run. @default - none */
  readonly document?: string;
}

const READS = [
  "autoscaling:DescribeAutoScalingGroups",
  "autoscaling:DescribeScalingActivities",
  "autoscaling:DescribeLifecycleHooks",
  "ec2:DescribeInstances",
  "ec2:DescribeNetworkInterfaces",
  "ec2:DescribeVolumes",
  "ec2:DescribeLaunchTemplateVersions",
  "ec2:DescribeAvailabilityZones",
  "ec2:GetConsoleOutput",
  "cloudwatch:DescribeAlarms",
];

const ON_GROUPS = [
  "autoscaling:SuspendProcesses",
  "autoscaling:ResumeProcesses",
  "autoscaling:TerminateInstanceInAutoScalingGroup",
  "autoscaling:CompleteLifecycleAction",
  "autoscaling:RecordLifecycleActionHeartbeat",
];

/**
 * What a role needs to roll one cluster and no other: changes only to groups that carry the cluster's tag, the lock and
 * journal below the cluster's own path. Describe actions know no resources.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2autoscaling.html
 */
export function rollerStatements(scope: RollerScope): PolicyStatement[] {
  const { partition, region, accountId, cluster, tag, changesGroups, reachesNodes, document } = scope;
  const arn = (service: string, resource: string) => `arn:${partition}:${service}:${region}:${accountId}:${resource}`;
  return [
    { sid: "Read", actions: READS, resources: ["*"] },
    {
      sid: "ReplaceNodes",
      actions: changesGroups ? [...ON_GROUPS, "autoscaling:UpdateAutoScalingGroup"] : ON_GROUPS,
      resources: [arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")],
      conditions: { StringEquals: { [`aws:ResourceTag/${tag.key}`]: tag.value } },
    },
    {
      sid: "LockAndJournal",
      actions: ["ssm:GetParametersByPath", "ssm:PutParameter", "ssm:DeleteParameter"],
      resources: [arn("ssm", `parameter/holdfast/${cluster}/roll`), arn("ssm", `parameter/holdfast/${cluster}/roll/*`)],
    },
    ...(changesGroups ? launchStatements(scope) : []),
    ...(reachesNodes || document !== undefined ? commandStatements(scope) : []),
  ];
}

/**
 * Giving a group another template version is checked as if one launched from it:
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
 */
function launchStatements({ partition, region, accountId, nodeRoleArn }: RollerScope): PolicyStatement[] {
  return [
    {
      sid: "LaunchFromTemplate",
      actions: ["ec2:RunInstances", "ec2:CreateTags"],
      resources: [`arn:${partition}:ec2:${region}:${accountId}:*`, `arn:${partition}:ec2:${region}::image/*`],
    },
    {
      sid: "PassNodeRole",
      actions: ["iam:PassRole"],
      resources: [nodeRoleArn ?? `arn:${partition}:iam::${accountId}:role/*`],
      conditions: { StringLike: { "iam:PassedToService": "ec2.amazonaws.com*" } },
    },
  ];
}

/**
 * Known documents only, on instances that carry the cluster's tag; what became of a command knows no resources.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
 */
function commandStatements(scope: RollerScope): PolicyStatement[] {
  const { partition, region, accountId, tag, reachesNodes, document } = scope;
  const documents = [
    ...(reachesNodes ? [`arn:${partition}:ssm:${region}::document/AWS-RunShellScript`] : []),
    ...(document === undefined ? [] : [`arn:${partition}:ssm:${region}:${accountId}:document/${document}`]),
  ];
  return [
    { sid: "RunDocuments", actions: ["ssm:SendCommand"], resources: documents },
    {
      sid: "OnNodes",
      actions: ["ssm:SendCommand"],
      resources: [`arn:${partition}:ec2:${region}:${accountId}:instance/*`],
      conditions: { StringEquals: { [`ssm:resourceTag/${tag.key}`]: tag.value } },
    },
    ...(reachesNodes
      ? [{ sid: "FollowCommands", actions: ["ssm:GetCommandInvocation", "ssm:CancelCommand"], resources: ["*"] }]
      : []),
  ];
}
