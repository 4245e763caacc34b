import { writeModule } from "../../modules/publish/write-module";
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
