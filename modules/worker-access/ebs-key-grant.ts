import { KmsGrant } from "@cdktf/provider-aws/lib/kms-grant";
import { Construct } from "constructs";
import { AwsEnvironment } from "../iam/aws-environment";

export interface EbsKeyGrantProps {
  /** Name of the grant, shown by `aws kms list-grants`. */
  readonly name: string;
  /** ARN of the customer managed key that encrypts the root volumes. */
  readonly kmsKeyArn: string;
  /**
   * ARN of the service-linked role that launches the instances.
   * @default - AWSServiceRoleForAutoScaling of this account, which exists once the account has had an Auto Scaling group
   *   (`aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com` makes it)
   */
  readonly serviceLinkedRoleArn?: string;
}

/**
 * Lets Auto Scaling launch instances whose volumes a customer managed key encrypts. Without it every launch ends in
 * `Client.InternalError` and the group never says why.
 *
 * @see https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
 */
export class EbsKeyGrant extends Construct {
  public readonly grantId: string;

  public constructor(scope: Construct, id: string, props: EbsKeyGrantProps) {
    super(scope, id);
    const aws = AwsEnvironment.of(this);
    const role = "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling";
    const grant = new KmsGrant(this, "grant", {
      name: props.name,
      keyId: props.kmsKeyArn,
      granteePrincipal: props.serviceLinkedRoleArn ?? `arn:${aws.partition}:iam::${aws.accountId}:role/${role}`,
      operations: [
        "CreateGrant",
        "Decrypt",
        "DescribeKey",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "ReEncryptFrom",
        "ReEncryptTo",
      ],
    });
    this.grantId = grant.grantId;
  }
}
