import { DataAwsSsmParameter } from "@cdktf/provider-aws/lib/data-aws-ssm-parameter";
import type { Construct } from "constructs";
import type { Architecture } from "./architecture";

/** Where an AMI id comes from: the id itself, or the path of an SSM parameter that holds one. */
export type MachineImage = `ami-${string}` | `/${string}`;

/**
 * The newest Amazon Linux 2023 AMI, kept by AWS.
 * @see https://docs.aws.amazon.com/linux/al2023/ug/ec2.html
 */
export function amazonLinux(architecture: Architecture): MachineImage {
  return `/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${architecture}`;
}

/**
 * The AMI id, looked up by Terraform when it is kept in a parameter.
 *
 * It is not left to EC2 as `resolve:ssm:` at launch: two instances of one template version could then boot different
 * images, and EC2 Auto Scaling refuses the automatic rollback of an instance refresh for such a template.
 * @see https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-rollback.html
 */
export function imageId(scope: Construct, architecture: Architecture, image: MachineImage): string {
  if (!image.startsWith("/")) {
    return image;
  }
  return new DataAwsSsmParameter(scope, `ami_${architecture}`, { name: image }).insecureValue;
}
