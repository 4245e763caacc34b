import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  SetInstanceProtectionCommand,
} from "@aws-sdk/client-auto-scaling";
import { terraformIn } from "../../scripts/emulator/terraform";
import { readDeployments } from "../../stacks/deployments";
import { KINDS } from "../../stacks/kinds";
import { synthesize } from "../../stacks/synthesize";
import { useEmulatedAws } from "../support/emulator";
import { differences } from "../support/plan-differences";
import { useScratch } from "../support/scratch";

const EXAMPLE = readFileSync(join(__dirname, "..", "..", "deployments", "ez-cdc-production.yaml"), "utf8");

const aws = useEmulatedAws();
const scratch = useScratch();

const credentials = { accessKeyId: "emulator", secretAccessKey: "emulator" };
const client = () => ({ endpoint: aws.emulator().url, region: "eu-west-1", credentials });

/** Writes the Terraform JSON that a document becomes, and gives its directory: the same for every state of a deployment. */
function directoryOf(document: string): string {
  const outdir = join(scratch.path, "cdktf.out");
  const [stack] = synthesize(readDeployments([scratch.write("fleet.yaml", document)], KINDS), outdir);
  return join(outdir, dirname(stack?.path ?? ""));
}

test("R5, R20: the ez-cdc example applies, converges, rolls a change out, and goes though every worker is protected", async () => {
  // GIVEN
  const terraform = terraformIn(directoryOf(EXAMPLE), aws.emulator());
  await terraform.init();

  // WHEN it is applied
  const first = await terraform.plan();
  await terraform.apply("holdfast.tfplan");

  // THEN everything was created, and nothing is left to do
  expect(new Set(first.changes.flatMap(({ change }) => change.actions))).toEqual(new Set(["create"]));
  const second = await terraform.plan();
  expect(second.changes).toEqual([]);
  expect(await terraform.outputs()).toMatchObject({
    unsafe_flags: [],
    pools: {
      streaming: {
        auto_scaling_group_name: "ez-cdc-production-streaming",
        session_command: expect.stringContaining("aws ssm start-session --region eu-west-1 --target"),
      },
      snapshot: { launch_templates: { arm64: {}, x86_64: {} } },
    },
  });

  // WHEN a pool's configuration changes
  directoryOf(EXAMPLE.replace("deadline_seconds: 900", "deadline_seconds: 1200"));
  const { changes } = await terraform.plan();

  // THEN its template gets a new version, which its group will name, and so refresh its instances
  expect(differences(changes)).toEqual([
    "aws_autoscaling_group.launch_template",
    "aws_launch_template.default_version",
    "aws_launch_template.latest_version",
    "aws_launch_template.user_data",
  ]);
  const group = changes.find(({ address }) => address.startsWith("aws_autoscaling_group.fleet_pools_streaming_"));
  expect(group?.change.before?.["launch_template"]).toMatchObject([{ version: "1" }]);
  expect(group?.change.after?.["launch_template"]).toEqual([expect.not.objectContaining({ version: "1" })]);

  // WHEN every worker holds a job, and it is destroyed
  const workers = await protectAll();
  await terraform.destroy("-refresh=false");

  // THEN
  expect(workers).toBeGreaterThan(0);
  expect(await terraform.state()).toEqual([]);
  expect(await groups()).toEqual([]);
});

async function groups() {
  const { AutoScalingGroups = [] } = await new AutoScalingClient(client()).send(new DescribeAutoScalingGroupsCommand());
  return AutoScalingGroups;
}

/** Protects every instance from scale-in, as a worker does itself while it holds a job, and gives their number. */
async function protectAll(): Promise<number> {
  let count = 0;
  for (const { AutoScalingGroupName, Instances = [] } of await groups()) {
    const InstanceIds = Instances.flatMap(({ InstanceId }) => InstanceId ?? []);
    if (InstanceIds.length > 0) {
      await new AutoScalingClient(client()).send(
        new SetInstanceProtectionCommand({ AutoScalingGroupName, InstanceIds, ProtectedFromScaleIn: true }),
      );
    }
    count += InstanceIds.length;
  }
  return count;
}
