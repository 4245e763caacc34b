import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document";
import { IamInstanceProfile } from "@cdktf/provider-aws/lib/iam-instance-profile";
import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import { TerraformLocal, type TerraformResource } from "cdktf";
import { Construct } from "constructs";
import { AwsEnvironment } from "../iam/aws-environment";
import { checkedRoleName } from "../iam/role-name";
import { addDynamicBlock } from "../publish/dynamic-block";
import { hcl } from "../publish/expressions";

export interface ClusterAccessProps {
  /** May be a token. */
  readonly clusterName: string;
  /** Name tags of the cluster's data volumes; may be a token, as a whole. */
  readonly volumeNames: string[];
  /** Names of the cluster's groups, which are the Name tags of its instances; may be a token, as a whole. */
  readonly groupNames: string[];
  /** ARNs of S3 objects (node config script) that nodes read; may be a token, as a whole. */
  readonly objectArns: string[];
  /** ARNs of secrets and SSM parameters that nodes read; may be a token, as a whole. */
  readonly secretArns: string[];
  /** ARNs of the keys that encrypt volumes, secrets and objects; may be a token, as a whole. */
  readonly kmsKeyArns: string[];
}

/** Tags that the agent writes, and no others. */
const AGENT_TAGS = ["holdfast:boot", "holdfast:initialised"];

/**
 * What a node may do: attach the volumes of its own cluster to instances of its own cluster, say how its boot went, answer the launch
 * hooks of its own groups, and read what its configuration names. Sessions come through Systems Manager.
 *
 * Volumes and instances are known by their Name tag, which Terraform and the group give them at creation.
 */
export class ClusterAccess extends Construct {
  public readonly roleName: string;
  public readonly roleArn: string;
  public readonly instanceProfileName: string;

  public constructor(scope: Construct, id: string, props: ClusterAccessProps) {
    super(scope, id);
    const aws = AwsEnvironment.of(this);
    const { clusterName } = props;
    const trust = new DataAwsIamPolicyDocument(this, "instance-assume-role-policy", {
      statement: [
        { actions: ["sts:AssumeRole"], principals: [{ type: "Service", identifiers: [`ec2.${aws.dnsSuffix}`] }] },
      ],
    });
    const role = new IamRole(this, "node_role", {
      name: checkedRoleName(`${clusterName}-role`),
      assumeRolePolicy: trust.json,
    });
    const profile = new IamInstanceProfile(this, "node_instance_profile", {
      name: `${clusterName}-instance-profile`,
      role: role.name,
    });
    const document = new DataAwsIamPolicyDocument(this, "node_policy_document", { statement: statements(props, aws) });
    addOptionalStatements(this, document, props);
    const policy = new IamPolicy(this, "node_policy", { name: `${clusterName}-node-policy`, policy: document.json });
    new IamRolePolicyAttachment(this, "ssm_policy", {
      role: role.name,
      policyArn: `arn:${aws.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore`,
    });
    new IamRolePolicyAttachment(this, "instance_userdata_policy", { role: role.name, policyArn: policy.arn });
    this.roleName = role.name;
    this.roleArn = role.arn;
    this.instanceProfileName = profile.name;
  }
}

function statements(props: ClusterAccessProps, aws: AwsEnvironment) {
  const { volumeNames, groupNames } = props;
  const named = (values: string[]) => ({ test: "StringEquals", variable: "aws:ResourceTag/Name", values });
  const volumes = [aws.arn("ec2", "volume/*")];
  const instances = [aws.arn("ec2", "instance/*")];
  const onlyAgentTags = { test: "ForAllValues:StringEquals", variable: "aws:TagKeys", values: AGENT_TAGS };
  return [
    { sid: "AttachOwnVolumes", actions: ["ec2:AttachVolume"], resources: volumes, condition: [named(volumeNames)] },
    {
      sid: "AttachToOwnInstances",
      actions: ["ec2:AttachVolume"],
      resources: instances,
      condition: [named(groupNames)],
    },
    {
      sid: "SayWhatAVolumeCarries",
      actions: ["ec2:CreateTags"],
      resources: volumes,
      condition: [named(volumeNames), onlyAgentTags],
    },
    {
      sid: "SayHowABootWent",
      actions: ["ec2:CreateTags"],
      resources: instances,
      condition: [named(groupNames), onlyAgentTags],
    },
    {
      sid: "AnswerOwnLaunchHooks",
      actions: ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
      resources: [aws.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")],
      condition: [{ test: "StringEquals", variable: "autoscaling:ResourceTag/Name", values: groupNames }],
    },
    {
      // Describe actions know no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
      sid: "Look",
      actions: ["ec2:DescribeVolumes", "ec2:DescribeInstances", "autoscaling:DescribeAutoScalingInstances"],
      resources: ["*"],
    },
  ];
}

/** Statements whose resources may turn out to be none, which IAM refuses: such a statement is left out by Terraform. */
function addOptionalStatements(scope: Construct, document: DataAwsIamPolicyDocument, props: ClusterAccessProps): void {
  const { objectArns, secretArns, kmsKeyArns } = props;
  const optional = new TerraformLocal(scope, "optional_statements", [
    { sid: "ReadScripts", actions: ["s3:GetObject", "s3:GetObjectVersion"], resources: objectArns },
    { sid: "ReadSecrets", actions: ["secretsmanager:GetSecretValue", "ssm:GetParameter"], resources: secretArns },
    { sid: "UseKeys", actions: KEY_ACTIONS, resources: kmsKeyArns },
    {
      sid: "GrantKeysToVolumes",
      actions: ["kms:CreateGrant"],
      resources: kmsKeyArns,
      bounds: { "kms:GrantIsForAWSResource": "true" },
    },
  ]);
  addDynamicBlock(document as unknown as TerraformResource, {
    block: "statement",
    forEach: hcl(`[for s in local.${optional.friendlyUniqueId} : s if length(s.resources) > 0]`),
    content: {
      sid: "${statement.value.sid}",
      actions: "${statement.value.actions}",
      resources: "${statement.value.resources}",
      dynamic: {
        condition: {
          for_each: "${try(statement.value.bounds, {})}",
          content: { test: "Bool", variable: "${condition.key}", values: ["${condition.value}"] },
        },
      },
    },
  });
}

/**
 * What attaching an encrypted volume takes, beside the grant that EC2 makes for it: that one, and none to anybody else.
 * https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html#ebs-encryption-permissions
 */
const KEY_ACTIONS = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"];
