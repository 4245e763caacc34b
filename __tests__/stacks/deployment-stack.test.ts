import { Testing } from "cdktf";
import { NULL_PROVIDER } from "../../modules/publish/module-stack";
import { deploymentKeys } from "../../stacks/deployment-keys";
import { DeploymentStack } from "../../stacks/deployment-stack";

const stackOf = (document: object) =>
  new DeploymentStack(Testing.app(), deploymentKeys.parse({ name: "orders", ...document }));
const synth = (stack: DeploymentStack) => JSON.parse(Testing.synth(stack, true));

test("the provider has the region alone, and the state is a local file at a relative path", () => {
  const json = synth(stackOf({ aws: { region: "us-west-2" } }));

  expect(json).toEqual({
    provider: { aws: [{ region: "us-west-2" }] },
    terraform: {
      required_version: ">= 1.7",
      required_providers: { aws: { source: "hashicorp/aws", version: ">= 5.100.0, < 7.0.0" } },
      backend: { local: { path: "../../../terraform.orders.tfstate" } },
    },
  });
});

test("accounts, role and tags reach the provider", () => {
  const aws = {
    region: "us-gov-west-1",
    allowed_account_ids: ["123456789012"],
    assume_role: { role_arn: "arn:aws-us-gov:iam::123456789012:role/deploy", external_id: "x1" },
    default_tags: { team: "Data", "cost-center": "42" },
  };

  expect(synth(stackOf({ aws })).provider.aws).toEqual([
    {
      region: "us-gov-west-1",
      allowed_account_ids: ["123456789012"],
      assume_role: [{ role_arn: "arn:aws-us-gov:iam::123456789012:role/deploy", external_id: "x1" }],
      default_tags: [{ tags: { team: "Data", "cost-center": "42" } }],
    },
  ]);
});

test("three keys give an encrypted S3 state with a lock file, and the Terraform that knows it", () => {
  const backend = { bucket: "acme-state", key: "orders.tfstate", region: "us-east-1" };

  expect(synth(stackOf({ aws: { region: "us-west-2" }, backend })).terraform).toMatchObject({
    required_version: ">= 1.10",
    backend: { s3: { ...backend, encrypt: true, use_lockfile: true } },
  });
});

test("another provider is required beside AWS", () => {
  const stack = stackOf({ aws: { region: "us-west-2" } });

  stack.requireProvider(NULL_PROVIDER);

  expect(synth(stack).terraform.required_providers).toEqual({
    aws: { source: "hashicorp/aws", version: ">= 5.100.0, < 7.0.0" },
    null: { source: "hashicorp/null", version: ">= 3.2.1" },
  });
});
