import type { Cloud } from "./cloud";
import type { Manifest } from "./manifest";

/** The IAM action behind each call of the roller. */
export const ACTION_OF: Readonly<Record<keyof Cloud, string>> = {
  identity: "sts:GetCallerIdentity",
  describeGroups: "autoscaling:DescribeAutoScalingGroups",
  describeActivities: "autoscaling:DescribeScalingActivities",
  describeHooks: "autoscaling:DescribeLifecycleHooks",
  describeInstances: "ec2:DescribeInstances",
  describeInterfaces: "ec2:DescribeNetworkInterfaces",
  describeVolumes: "ec2:DescribeVolumes",
  describeTemplate: "ec2:DescribeLaunchTemplateVersions",
  impairedZones: "ec2:DescribeAvailabilityZones",
  consoleOutput: "ec2:GetConsoleOutput",
  firingAlarms: "cloudwatch:DescribeAlarms",
  suspendLaunch: "autoscaling:SuspendProcesses",
  resumeLaunch: "autoscaling:ResumeProcesses",
  terminate: "autoscaling:TerminateInstanceInAutoScalingGroup",
  abandon: "autoscaling:CompleteLifecycleAction",
  heartbeat: "autoscaling:RecordLifecycleActionHeartbeat",
  resize: "autoscaling:UpdateAutoScalingGroup",
  setTemplate: "autoscaling:UpdateAutoScalingGroup",
};

export interface Statement {
  readonly Sid: string;
  readonly Effect: "Allow";
  readonly Action: readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly Statement[];
}

export interface PolicyOptions {
  /** What `roll rollback` and `--strategy scale-zero` need: they change the group itself. */
  readonly changesGroups?: boolean;
  /** What checks and drains on the nodes need: commands through Systems Manager. */
  readonly reachesNodes?: boolean;
}

/**
 * What a role needs to roll this cluster and no other: changes only to groups that carry the cluster's tag, the lock and
 * journal below the cluster's own path. Describe actions know no resources.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2autoscaling.html
 */
export function rollerPolicy(
  { accountId, cluster, region, tag }: Manifest,
  { changesGroups = false, reachesNodes = false }: PolicyOptions = {},
): PolicyDocument {
  const onGroups: (keyof Cloud)[] = ["suspendLaunch", "resumeLaunch", "terminate", "abandon", "heartbeat"];
  const reads: (keyof Cloud)[] = [
    "describeGroups",
    "describeActivities",
    "describeHooks",
    "describeInstances",
    "describeInterfaces",
    "describeVolumes",
    "describeTemplate",
    "impairedZones",
    "consoleOutput",
    "firingAlarms",
  ];
  const actions = (methods: readonly (keyof Cloud)[]) => [...new Set(methods.map((method) => ACTION_OF[method]))];
  return {
    Version: "2012-10-17",
    Statement: [
      { Sid: "Read", Effect: "Allow", Action: actions(reads), Resource: "*" },
      {
        Sid: "ReplaceNodes",
        Effect: "Allow",
        Action: actions(changesGroups ? [...onGroups, "setTemplate"] : onGroups),
        Resource: `arn:aws:autoscaling:${region}:${accountId}:autoScalingGroup:*:autoScalingGroupName/*`,
        Condition: { StringEquals: { [`aws:ResourceTag/${tag.key}`]: tag.value } },
      },
      {
        Sid: "LockAndJournal",
        Effect: "Allow",
        Action: ["ssm:GetParametersByPath", "ssm:PutParameter", "ssm:DeleteParameter"],
        Resource: [
          `arn:aws:ssm:${region}:${accountId}:parameter/holdfast/${cluster}/roll`,
          `arn:aws:ssm:${region}:${accountId}:parameter/holdfast/${cluster}/roll/*`,
        ],
      },
      ...(changesGroups ? [launchRights(accountId, region)] : []),
      ...(reachesNodes ? commandRights(accountId, region, tag) : []),
    ],
  };
}

/**
 * The one document, and instances that carry the cluster's tag; what became of a command knows no resources.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
 */
function commandRights(accountId: string, region: string, tag: Manifest["tag"]): Statement[] {
  return [
    {
      Sid: "RunShellScripts",
      Effect: "Allow",
      Action: ["ssm:SendCommand"],
      Resource: [`arn:aws:ssm:${region}::document/AWS-RunShellScript`],
    },
    {
      Sid: "OnNodes",
      Effect: "Allow",
      Action: ["ssm:SendCommand"],
      Resource: [`arn:aws:ec2:${region}:${accountId}:instance/*`],
      Condition: { StringEquals: { [`ssm:resourceTag/${tag.key}`]: tag.value } },
    },
    {
      Sid: "FollowCommands",
      Effect: "Allow",
      Action: ["ssm:GetCommandInvocation", "ssm:CancelCommand"],
      Resource: "*",
    },
  ];
}

/**
 * Giving a group another template version is checked as if one launched from it:
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
 */
function launchRights(accountId: string, region: string): Statement {
  return {
    Sid: "LaunchFromTemplate",
    Effect: "Allow",
    Action: ["ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"],
    Resource: [
      `arn:aws:ec2:${region}:${accountId}:*`,
      `arn:aws:ec2:${region}::image/*`,
      `arn:aws:iam::${accountId}:role/*`,
    ],
  };
}
