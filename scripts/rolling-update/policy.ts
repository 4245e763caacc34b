import { rollerStatements } from "../../modules/stateful-cluster/roller-statements";
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
  readonly Resource: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
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

/** What a role needs to roll this cluster and no other, as IAM takes it. */
export function rollerPolicy(
  { accountId, cluster, region, tag }: Manifest,
  { changesGroups = false, reachesNodes = false }: PolicyOptions = {},
): PolicyDocument {
  const partition = partitionOf(region);
  const statements = rollerStatements({ partition, region, accountId, cluster, tag, changesGroups, reachesNodes });
  return {
    Version: "2012-10-17",
    Statement: statements.map(({ sid, actions, resources = [], conditions }) => ({
      Sid: sid,
      Effect: "Allow",
      Action: actions,
      Resource: resources,
      ...(conditions === undefined ? {} : { Condition: conditions }),
    })),
  };
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html */
function partitionOf(region: string): string {
  if (region.startsWith("cn-")) return "aws-cn";
  return region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
}
