import { join } from "node:path";
import { writeModule } from "../../modules/publish/write-module";
import { PUBLISHED_MODULES } from "../../modules/published-modules";
import { LOG_GROUP_MODULE } from "../fixtures/log-group-module";
import { useEmulatedAws } from "../support/emulator";
import { useScratch } from "../support/scratch";

const aws = useEmulatedAws();
const scratch = useScratch();

test("an HCL root that calls a published module is valid, applies, converges and is destroyed", async () => {
  // GIVEN
  writeModule(LOG_GROUP_MODULE, scratch.path);
  const terraform = await aws.terraform(scratch.path, "examples/two-groups");

  // WHEN
  await terraform.validate();
  const { changes } = await terraform.plan();
  await terraform.apply();
  const second = await terraform.plan();

  // THEN
  expect(changes.map(({ address }) => address)).toEqual([
    'module.log_groups.module.group["docs"].aws_cloudwatch_log_group.this',
    'module.log_groups.module.group["mail"].aws_cloudwatch_log_group.this',
  ]);
  expect(second.changes).toEqual([]);
  expect(await terraform.outputs()).toEqual({
    arns: {
      docs: "arn:aws:logs:us-west-2:123456789012:log-group:test-docs",
      mail: "arn:aws:logs:us-west-2:123456789012:log-group:test-mail",
    },
  });
  await terraform.destroy();
  expect(await terraform.state()).toEqual([]);
});

test.each(PUBLISHED_MODULES.map((module) => [module.name, module] as const))(
  "the module %s, called as all of its examples call it, applies, converges and leaves nothing",
  async (_name, module) => {
    writeModule(module, join(scratch.path, "module"));
    const call = ({ name }: { name: string }) => `module "${name}" {\n  source = "../module/examples/${name}"\n}\n`;
    scratch.write("root/main.tf", module.examples.map(call).join("\n"));
    const terraform = await aws.terraform(scratch.path, "root");

    await terraform.validate();
    await terraform.apply();
    const second = await terraform.plan();
    await terraform.destroy();

    expect(second.changes).toEqual([]);
    expect(await terraform.state()).toEqual([]);
  },
);

test("the rules of a schema are rules of the module: Terraform refuses what the schema refuses", async () => {
  writeModule(LOG_GROUP_MODULE, scratch.path);
  const terraform = await aws.terraform(scratch.path);

  const refusal = terraform.plan("-var", 'groups={"a"={"days"=0}}').catch((error: Error) => error.message);

  expect(await refusal).toContain("groups[*].days must be at least 1.");
});
