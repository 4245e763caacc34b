import { DataAwsDefaultTags } from "@cdktf/provider-aws/lib/data-aws-default-tags";
import { DataAwsRegion } from "@cdktf/provider-aws/lib/data-aws-region";
import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { Testing } from "cdktf";
import { Construct } from "constructs";
import { addDynamicBlock } from "../../../modules/publish/dynamic-block";
import { hcl, PATH_MODULE } from "../../../modules/publish/expressions";
import { AWS_PROVIDER, ModuleStack, NULL_PROVIDER } from "../../../modules/publish/module-stack";

class Firewall extends Construct {
  public readonly group = new SecurityGroup(this, "workers", { description: PATH_MODULE });
  public constructor(scope: Construct, id: string) {
    super(scope, id);
    new DataAwsRegion(this, "region");
    new DataAwsDefaultTags(this, "default_tags");
  }
}

const synth = (stack: ModuleStack) => JSON.parse(Testing.synth(stack, true));

test("a module requires provider ranges and configures no provider and no backend", () => {
  // GIVEN
  const stack = new ModuleStack(Testing.app(), "module", { providers: [AWS_PROVIDER, NULL_PROVIDER] });

  // WHEN
  const json = synth(stack);

  // THEN
  expect(json).toEqual({
    terraform: {
      required_version: ">= 1.7",
      required_providers: {
        aws: { source: "hashicorp/aws", version: ">= 5.100.0, < 7.0.0" },
        null: { source: "hashicorp/null", version: ">= 3.2.1" },
      },
    },
  });
});

test("children of a Default construct are published under their own ids, without a hash", () => {
  const stack = new ModuleStack(Testing.app(), "module");
  new Firewall(stack, "Default");

  const json = synth(stack);

  expect(Object.keys(json.resource.aws_security_group)).toEqual(["workers"]);
  expect(json.resource.aws_security_group.workers.description).toBe("${path.module}");
});

test("the address book publishes two data sources under one promised name", () => {
  const addresses = { "Default/region": "current", "Default/default_tags": "current" };
  const stack = new ModuleStack(Testing.app(), "module", { addresses });
  new Firewall(stack, "Default");

  const json = synth(stack);

  expect(json.data).toEqual({ aws_region: { current: {} }, aws_default_tags: { current: {} } });
});

test("an address promised for a construct that does not exist fails synthesis", () => {
  const stack = new ModuleStack(Testing.app(), "module", { addresses: { "Default/gone": "current" } });

  expect(() => synth(stack)).toThrow("module promises an address for Default/gone, but has no such construct");
});

test("two resources under one address fail synthesis instead of being merged", () => {
  const addresses = { "a/workers": "workers", "b/workers": "workers" };
  const stack = new ModuleStack(Testing.app(), "module", { addresses });
  new Firewall(stack, "a");
  new Firewall(stack, "b");

  expect(() => synth(stack)).toThrow(
    "module/b/workers and module/a/workers share the address aws_security_group.workers",
  );
});

test("a dynamic block iterates under the block's own name", () => {
  const stack = new ModuleStack(Testing.app(), "module");
  const { group } = new Firewall(stack, "Default");

  addDynamicBlock(group, {
    block: "egress",
    forEach: hcl("var.ports"),
    content: { from_port: "${egress.value}", to_port: "${egress.value}", protocol: "tcp" },
  });

  expect(synth(stack).resource.aws_security_group.workers.dynamic).toEqual({
    egress: {
      for_each: "${var.ports}",
      content: { from_port: "${egress.value}", to_port: "${egress.value}", protocol: "tcp" },
    },
  });
});
