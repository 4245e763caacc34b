import { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity";
import { DataAwsPartition } from "@cdktf/provider-aws/lib/data-aws-partition";
import { DataAwsRegion } from "@cdktf/provider-aws/lib/data-aws-region";
import { TerraformStack } from "cdktf";
import { Construct } from "constructs";

const ID = "aws_environment";

/**
 * Where a stack is deployed: partition, region and account as tokens, read by Terraform once per stack.
 *
 * ARNs made from these hold in every partition (aws, aws-cn, aws-us-gov), and are known at plan time.
 */
export class AwsEnvironment extends Construct {
  /** `aws`, `aws-cn`, `aws-us-gov`. */
  public readonly partition: string;
  /** Domain of service principals and of `kms:ViaService`: `amazonaws.com`. */
  public readonly dnsSuffix: string;
  public readonly region: string;
  public readonly accountId: string;

  /** The environment of the stack that `scope` is in. */
  public static of(scope: Construct): AwsEnvironment {
    const stack = TerraformStack.of(scope);
    return (stack.node.tryFindChild(ID) as AwsEnvironment | undefined) ?? new AwsEnvironment(stack);
  }

  private constructor(stack: TerraformStack) {
    super(stack, ID);
    const partition = new DataAwsPartition(this, "partition");
    this.partition = partition.partition;
    this.dnsSuffix = partition.dnsSuffix;
    this.region = new DataAwsRegion(this, "region").id;
    this.accountId = new DataAwsCallerIdentity(this, "caller").accountId;
  }

  /** ARN of a resource in this account and region. */
  public arn(service: string, resource: string): string {
    return `arn:${this.partition}:${service}:${this.region}:${this.accountId}:${resource}`;
  }

  /** ARN of objects in a bucket; S3 ARNs carry neither region nor account. */
  public objectArn(bucket: string, keyPattern: string): string {
    return `arn:${this.partition}:s3:::${bucket}/${keyPattern}`;
  }
}
