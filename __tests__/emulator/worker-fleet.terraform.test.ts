import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { emulatorEnvironment, type PlannedChange, terraformIn } from "../../scripts/emulator/terraform";
import { readDeployments } from "../../stacks/deployments";
import { KINDS } from "../../stacks/kinds";
import { synthesize } from "../../stacks/synthesize";
import { useEmulatedAws } from "../support/emulator";
import { useScratch } from "../support/scratch";

const aws = useEmulatedAws();
const scratch = useScratch();

const EXAMPLE = readFileSync(join(__dirname, "../../deployments/ez-cdc-production.yaml"), "utf8");

/** Writes the Terraform JSON that a document becomes, and gives its directory: the same for every state of a deployment. */
function stackOf(document: string): string {
  const outdir = join(scratch.path, "out");
  const [stack] = synthesize(readDeployments([scratch.write("fleet.yaml", document)], KINDS), outdir);
  return join(outdir, stack?.path ?? "", "..");
}

/**
 * What moto 5.2 does not keep, or makes up, so that the provider wants to set it again. Nothing else may differ after an apply.
 */
const FORGOTTEN: Readonly<Record<string, readonly string[]>> = {
  aws_autoscaling_group: [
    "capacity_reservation_specification",
    "default_instance_warmup",
    "instance_maintenance_policy",
    "launch_template",
    "max_instance_lifetime",
    "mixed_instances_policy",
  ],
  aws_autoscaling_lifecycle_hook: ["notification_target_arn", "role_arn"],
  aws_autoscaling_policy: ["enabled", "predictive_scaling_configuration"],
  aws_cloudwatch_log_group: ["arn", "id", "kms_key_id", "log_group_class", "name_prefix", "tags", "tags_all"],
  aws_launch_template: ["default_version", "latest_version", "tag_specifications"],
  aws_vpc_security_group_egress_rule: ["description"],
  aws_vpc_security_group_ingress_rule: ["description"],
};

/** What a plan changes, beyond what the emulator forgets. */
function differences({ address, type, change: { before, after } }: PlannedChange): string[] {
  const [old, planned] = [before ?? {}, after ?? {}];
  return Object.keys({ ...old, ...planned })
    .filter((key) => JSON.stringify(old[key]) !== JSON.stringify(planned[key]))
    .filter((key) => !FORGOTTEN[type]?.includes(key))
    .map((key) => `${address}.${key}`);
}

function awsCli(...args: string[]) {
  const env = { ...emulatorEnvironment(aws.emulator()), AWS_DEFAULT_REGION: "eu-west-1" };
  return JSON.parse(execFileSync("aws", [...args, "--output", "json"], { env, encoding: "utf8" }) || "{}");
}

const groups = () => awsCli("autoscaling", "describe-auto-scaling-groups").AutoScalingGroups;

test("the production example applies, converges, rolls out a change, and is destroyed while its workers are protected", async () => {
  const terraform = terraformIn(stackOf(EXAMPLE), aws.emulator());
  await terraform.init();
  await terraform.validate();
  await terraform.apply();

  // A second plan wants nothing.
  expect((await terraform.plan()).changes.flatMap(differences)).toEqual([]);
  expect(await terraform.outputs()).toMatchObject({
    unsafe_flags: [],
    pools: {
      streaming: {
        auto_scaling_group_name: "ez-cdc-production-streaming",
        role_name: "ez-cdc-production-streaming",
        session_command: expect.stringContaining("aws ssm start-session --region eu-west-1 --target"),
      },
      snapshot: { launch_templates: { arm64: {}, x86_64: {} } },
    },
  });

  // R5: a change of user data is a new template version, and with it a change of the group that refreshes its instances.
  stackOf(EXAMPLE.replace("deadline_seconds: 900", "deadline_seconds: 1200"));
  const { changes } = await terraform.plan();
  expect(changes.flatMap(differences)).toEqual([
    expect.stringMatching(/^aws_launch_template\.fleet_pools_streaming_instances_template_\w+\.user_data$/),
  ]);
  const group = changes.find(({ address }) => address.startsWith("aws_autoscaling_group.fleet_pools_streaming_"));
  expect(group?.change.before?.["launch_template"]).toMatchObject([{ version: "1" }]);
  expect(group?.change.after?.["launch_template"]).toEqual([expect.not.objectContaining({ version: "1" })]);

  // R20: protected workers are no reason to stay.
  for (const { AutoScalingGroupName, Instances } of groups()) {
    const ids = Instances.map(({ InstanceId }: { InstanceId: string }) => InstanceId);
    if (ids.length > 0) {
      awsCli(
        ...["autoscaling", "set-instance-protection", "--protected-from-scale-in"],
        ...["--auto-scaling-group-name", AutoScalingGroupName, "--instance-ids", ...ids],
      );
    }
  }
  expect(JSON.stringify(groups())).toContain('"ProtectedFromScaleIn":true');
  await terraform.destroy();
  expect(await terraform.state()).toEqual([]);
  expect(groups()).toEqual([]);
});
