import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PublishedModule } from "../../modules/publish/published-module";
import { writeModule } from "../../modules/publish/write-module";
import { PUBLISHED_MODULES } from "../../modules/published-modules";
import { LOG_GROUP_MODULE } from "../fixtures/log-group-module";
import { useEmulatedAws } from "../support/emulator";
import { useScratch } from "../support/scratch";

const aws = useEmulatedAws();
const scratch = useScratch();

/** Calls a module's examples from one root, each as a module of its own. */
const callsOf = ({ name: module, examples }: PublishedModule) =>
  examples.map(({ name }) => `module "${name}" {\n  source = "../${module}/examples/${name}"\n}\n`);

const PROVIDER = 'provider "aws" {\n  region = "us-west-2"\n}\n';

/** Leaves a module's examples to their caller's provider, where theirs says the same: Terraform starts one for each that is configured. */
function withoutProvider(directory: string, { examples }: PublishedModule): void {
  for (const { name } of examples) {
    const file = join(directory, "examples", name, "main.tf");
    writeFileSync(file, readFileSync(file, "utf8").replace(PROVIDER, ""));
  }
}

// One root for all of them: most of a Terraform command's time goes into the AWS provider's schema, however much it does.
test("every published module, called as all of its examples call it, applies, converges and leaves nothing", async () => {
  // GIVEN
  const modules = [LOG_GROUP_MODULE, ...PUBLISHED_MODULES];
  for (const module of modules) {
    const directory = join(scratch.path, module.name);
    writeModule(module, directory);
    withoutProvider(directory, module);
  }
  const arns = 'output "arns" {\n  value = module.two-groups.arns\n}\n';
  scratch.write("root/main.tf", [PROVIDER, ...modules.flatMap(callsOf), arns].join("\n"));
  const terraform = await aws.terraform(scratch.path, "root");

  // WHEN
  await terraform.apply();
  const second = await terraform.plan();
  const [outputs, applied] = [await terraform.outputs(), await terraform.state()];
  await terraform.destroy("-refresh=false");

  // THEN
  expect(second.changes).toEqual([]);
  expect(applied.filter((address) => address.startsWith("module.two-groups"))).toEqual([
    'module.two-groups.module.log_groups.module.group["docs"].aws_cloudwatch_log_group.this',
    'module.two-groups.module.log_groups.module.group["mail"].aws_cloudwatch_log_group.this',
  ]);
  expect(outputs).toEqual({
    arns: {
      docs: "arn:aws:logs:us-west-2:123456789012:log-group:test-docs",
      mail: "arn:aws:logs:us-west-2:123456789012:log-group:test-mail",
    },
  });
  expect(await terraform.state()).toEqual([]);
});

test("the rules of a schema are rules of the module: Terraform refuses what the schema refuses", async () => {
  writeModule(LOG_GROUP_MODULE, scratch.path);
  const terraform = await aws.terraform(scratch.path);

  const refusal = terraform.plan("-var", 'groups={"a"={"days"=0}}').catch((error: Error) => error.message);

  expect(await refusal).toContain("groups[*].days must be at least 1.");
});
