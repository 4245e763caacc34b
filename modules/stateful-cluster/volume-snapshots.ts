import { DlmLifecyclePolicy } from "@cdktf/provider-aws/lib/dlm-lifecycle-policy";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import { Fn, Token } from "cdktf";
import { Construct } from "constructs";
import { AwsEnvironment } from "../iam/aws-environment";
import { checkedRoleName } from "../iam/role-name";
import { hcl } from "../publish/expressions";

/** When snapshots are made, and how many are kept of each volume; values may be tokens. */
export interface SnapshotSchedule {
  /** 1, 2, 3, 4, 6, 8, 12 or 24. @default 24 */
  readonly everyHours?: number;
  /** UTC, "HH:MM": begins within an hour of it. @default "03:00" */
  readonly startAt?: string;
  /** Of each volume: 1 to 1000. @default 7 */
  readonly keep?: number;
}

export interface VolumeSnapshotsProps extends SnapshotSchedule {
  /** May be a token. */
  readonly clusterName: string;
  /** A Terraform condition. @default - there are snapshots */
  readonly enabled?: string;
}

export const SNAPSHOT_HOURS = [1, 2, 3, 4, 6, 8, 12, 24] as const;

/** The tag of the volumes that a cluster's policy takes snapshots of; its value is the cluster's name. */
export const SNAPSHOT_TAG = "holdfast:snapshots";

/**
 * Snapshots of a cluster's data volumes, by Data Lifecycle Manager. Each is of one volume at one moment: what it holds is what a power
 * cut would have left, which is what the applications of such clusters recover from.
 *
 * https://docs.aws.amazon.com/ebs/latest/userguide/snapshot-lifecycle.html
 */
export class VolumeSnapshots extends Construct {
  public constructor(scope: Construct, id: string, props: VolumeSnapshotsProps) {
    super(scope, id);
    const { clusterName, everyHours = 24, startAt = "03:00", keep = 7, enabled } = props;
    const aws = AwsEnvironment.of(this);
    const role = new IamRole(this, "role", {
      name: checkedRoleName(`${clusterName}-snapshots`),
      assumeRolePolicy: Token.asString(
        Fn.jsonencode({
          Version: "2012-10-17",
          Statement: [
            {
              Effect: "Allow",
              Action: "sts:AssumeRole",
              Principal: { Service: `dlm.${aws.dnsSuffix}` },
              // https://docs.aws.amazon.com/ebs/latest/userguide/service-role.html
              Condition: { StringEquals: { "aws:SourceAccount": aws.accountId } },
            },
          ],
        }),
      ),
    });
    const attachment = new IamRolePolicyAttachment(this, "role_policy", {
      role: role.name,
      policyArn: `arn:${aws.partition}:iam::aws:policy/service-role/AWSDataLifecycleManagerServiceRole`,
    });
    const policy = new DlmLifecyclePolicy(this, "policy", {
      description: "Snapshots of the data volumes of a cluster",
      executionRoleArn: role.arn,
      tags: { Name: `${clusterName}-snapshots` },
      policyDetails: {
        resourceTypes: ["VOLUME"],
        targetTags: { [SNAPSHOT_TAG]: clusterName },
        schedule: [
          {
            name: "data volumes",
            copyTags: true,
            createRule: { interval: everyHours, intervalUnit: "HOURS", times: [startAt] },
            retainRule: { count: keep },
          },
        ],
      },
    });
    if (enabled === undefined) return;
    for (const resource of [role, attachment, policy]) resource.addOverride("count", hcl(`${enabled} ? 1 : 0`));
    // What has a count is referred to by its index.
    attachment.addOverride("role", hcl(`one(${role.fqn}[*].name)`));
    policy.addOverride("execution_role_arn", hcl(`one(${role.fqn}[*].arn)`));
  }
}
