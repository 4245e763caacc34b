import { IamInstanceProfile } from "@cdktf/provider-aws/lib/iam-instance-profile";
import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import { Token } from "cdktf";
import { Construct } from "constructs";
import { AwsEnvironment } from "../iam/aws-environment";
import { policyDocument } from "../iam/policy-document";
import { checkedRoleName } from "../iam/role-name";
import { checkPermissions } from "./permission-checks";
import { type WorkerPermissions, workerStatements } from "./worker-policy";

export interface WorkerRoleProps {
  /** Name of role, policy and instance profile. IAM is global: put the region in it where a name is used in two. */
  readonly name: string;
  /** What this pool's workers may do. */
  readonly permissions: WorkerPermissions;
  /** IAM path, with a slash at both ends. @default /holdfast/ */
  readonly path?: string;
  /**
   * ARN of the policy that bounds whatever is attached to the role.
   * @default - the role's own policy: nothing attached later widens what a worker may do
   */
  readonly permissionsBoundaryArn?: string;
  /** How long credentials of one session live, 3600 to 43200. @default 3600 */
  readonly maxSessionSeconds?: number;
  /** @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

/**
 * The role that one pool's workers carry, with its instance profile.
 *
 * A role belongs to a pool, not to a fleet: a worker that is taken over can then complete hooks and lift protection in its
 * own group only. The policy is a managed one, since it is also the role's boundary.
 *
 * @throws Error naming the field for a wildcard in an own name, a partial secret ARN, a release prefix without version, a
 *   name beyond IAM's 64 characters, tags whose keys differ in case alone, a malformed path and a session outside AWS's limits.
 */
export class WorkerRole extends Construct {
  public readonly roleName: string;
  public readonly roleArn: string;
  public readonly instanceProfileName: string;
  public readonly instanceProfileArn: string;

  public constructor(scope: Construct, id: string, props: WorkerRoleProps) {
    super(scope, id);
    checkProps(props);
    checkPermissions(props.permissions);
    const aws = AwsEnvironment.of(this);
    const { path = "/holdfast/" } = props;
    const name = checkedRoleName(props.name);
    const tags = { ...props.tags, Name: name };
    checkTagKeys(name, Object.keys(tags));

    const policy = new IamPolicy(this, "policy", {
      name,
      path,
      description: `What workers of ${name} may do, and at most`,
      policy: policyDocument(workerStatements(props.permissions, aws)),
      tags,
    });
    const role = new IamRole(this, "role", {
      name,
      path,
      description: `Workers of ${name}`,
      assumeRolePolicy: policyDocument([
        { sid: "Ec2", principals: { Service: `ec2.${aws.dnsSuffix}` }, actions: ["sts:AssumeRole"] },
      ]),
      permissionsBoundary: props.permissionsBoundaryArn ?? policy.arn,
      maxSessionDuration: props.maxSessionSeconds ?? 3600,
      tags,
    });
    const attachment = new IamRolePolicyAttachment(this, "policy_attachment", {
      role: role.name,
      policyArn: policy.arn,
    });
    const profile = new IamInstanceProfile(this, "instance_profile", {
      name,
      path,
      role: role.name,
      tags,
      dependsOn: [attachment],
    });

    this.roleName = role.name;
    this.roleArn = role.arn;
    this.instanceProfileName = profile.name;
    this.instanceProfileArn = profile.arn;
  }
}

function checkProps({ path, maxSessionSeconds }: WorkerRoleProps): void {
  if (path !== undefined && !Token.isUnresolved(path) && !/^\/([!-~]+\/)?$/.test(path)) {
    throw new Error(`path (${path}) must begin and end with a slash: /${path.replace(/^\/+|\/+$/g, "")}/`);
  }
  if (maxSessionSeconds === undefined || Token.isUnresolved(maxSessionSeconds)) return;
  if (maxSessionSeconds < 3600 || maxSessionSeconds > 43200) {
    throw new Error(`maxSessionSeconds (${maxSessionSeconds}) must be between 3600 and 43200`);
  }
}

/** EC2 tells keys apart by case, and IAM refuses them: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html */
function checkTagKeys(role: string, keys: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const key of keys) {
    const other = seen.get(key.toLowerCase());
    if (other !== undefined) {
      throw new Error(
        `role ${role} has the tags ${other} and ${key}, which are one to IAM: rename the one that is yours`,
      );
    }
    seen.set(key.toLowerCase(), key);
  }
}
