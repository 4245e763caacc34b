import { EbsKeyGrant, type EbsKeyGrantProps } from "../../../modules/worker-access/ebs-key-grant";
import { lintIam } from "../../support/iam-linter";
import { type Synthesized, synthesize, synthesizedResources } from "../../support/synthesize";

function synthesizeGrant(props: Partial<EbsKeyGrantProps> = {}): Synthesized {
  return synthesize((scope) => {
    const kmsKeyArn = "arn:aws:kms:eu-west-1:111122223333:key/8a2e1f0c-0000-4000-8000-000000000001";
    new EbsKeyGrant(scope, "root_volumes", { name: "ez-cdc-production", kmsKeyArn, ...props });
  });
}

describe("R13: with a customer managed key", () => {
  test("R13: Auto Scaling's own role may use it for volumes: decrypt, make data keys, and grant EC2 in turn", () => {
    const [grant] = synthesizedResources(synthesizeGrant(), "aws_kms_grant");
    expect(grant?.attributes["grantee_principal"]).toMatch(
      /^arn:\$\{data\.aws_partition\..+\.partition\}:iam::\$\{data\.aws_caller_identity\..+\.account_id\}:role\/aws-service-role\/autoscaling\.amazonaws\.com\/AWSServiceRoleForAutoScaling$/,
    );
    expect(grant?.attributes["operations"]).toEqual(
      expect.arrayContaining([
        "CreateGrant",
        "Decrypt",
        "DescribeKey",
        "GenerateDataKeyWithoutPlaintext",
        "ReEncryptFrom",
      ]),
    );
    expect(lintIam(synthesizeGrant())).toEqual([]);
  });

  test("R13: a group launched by another service-linked role names it", () => {
    const arn =
      "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_cdc";
    const [grant] = synthesizedResources(synthesizeGrant({ serviceLinkedRoleArn: arn }), "aws_kms_grant");
    expect(grant?.attributes["grantee_principal"]).toBe(arn);
  });
});
