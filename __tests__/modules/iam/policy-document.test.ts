import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy";
import { TerraformVariable } from "cdktf";
import { AwsEnvironment } from "../../../modules/iam/aws-environment";
import { type PolicyStatement, policyDocument } from "../../../modules/iam/policy-document";
import { synthesize, synthesizedResources } from "../../support/synthesize";

const STATEMENT: PolicyStatement = { sid: "A", actions: ["s3:GetObject"], resources: ["*"] };

test("Terraform expressions stay live, IAM policy variables do not become any", () => {
  const stack = synthesize((scope) => {
    const bucket = new TerraformVariable(scope, "bucket", { type: "string" }).stringValue;
    const resources = [`arn:aws:s3:::${bucket}/\${aws:PrincipalTag/team}/*`];
    new IamPolicy(scope, "policy", { policy: policyDocument([{ ...STATEMENT, resources }]) });
  });
  expect(synthesizedResources(stack, "aws_iam_policy")[0]?.attributes["policy"]).toBe(
    '{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":["s3:GetObject"],' +
      '"Resource":["arn:aws:s3:::${var.bucket}/$${aws:PrincipalTag/team}/*"]}]}',
  );
});

test("a list that Terraform alone knows is refused, since JSON text cannot hold it", () => {
  synthesize((scope) => {
    const resources = new TerraformVariable(scope, "arns", { type: "list(string)" }).listValue;
    expect(() => policyDocument([{ ...STATEMENT, resources }])).toThrow(
      'policy statement "A": resources is a list known only to Terraform; give a list of (possibly unknown) strings',
    );
  });
});

test("statements that IAM would refuse are refused", () => {
  expect(() => policyDocument([STATEMENT, STATEMENT])).toThrow(
    'policy statement "A" is given twice: sids are unique within a policy',
  );
  expect(() => policyDocument([{ ...STATEMENT, actions: [] }])).toThrow(
    'policy statement "A": actions is empty; IAM refuses it',
  );
});

test("a stack asks for partition, region and account once, however many constructs use them", () => {
  const stack = synthesize((scope) => {
    expect(AwsEnvironment.of(scope)).toBe(AwsEnvironment.of(scope));
  });
  expect(Object.entries(stack.data ?? {}).map(([type, named]) => [type, Object.keys(named).length])).toEqual([
    ["aws_caller_identity", 1],
    ["aws_partition", 1],
    ["aws_region", 1],
  ]);
});
