import { dirname, join } from "node:path";
import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  SetInstanceProtectionCommand,
} from "@aws-sdk/client-auto-scaling";
import { DescribeInstancesCommand, EC2Client } from "@aws-sdk/client-ec2";
import { readDeployments } from "../../stacks/deployments";
import { KINDS } from "../../stacks/kinds";
import { synthesize } from "../../stacks/synthesize";
import { useEmulatedAws } from "../support/emulator";
import { useScratch } from "../support/scratch";

const EXAMPLE = join(__dirname, "..", "..", "deployments", "ez-cdc-production.yaml");

const aws = useEmulatedAws();
const scratch = useScratch();

const credentials = { accessKeyId: "emulator", secretAccessKey: "emulator" };
const client = () => ({ endpoint: aws.emulator().url, region: "eu-west-1", credentials });

test("R20: the ez-cdc example applies, a second plan is empty, and destroy leaves nothing, protected instances included", async () => {
  // GIVEN
  const [stack] = synthesize(readDeployments([EXAMPLE], KINDS), scratch.path);
  const terraform = await aws.terraform(scratch.path, dirname(stack?.path ?? ""));
  await terraform.validate();

  // WHEN it is applied
  const first = await terraform.plan();
  await terraform.apply("holdfast.tfplan");

  // THEN everything was created, and nothing is left to do
  expect(new Set(first.changes.flatMap(({ change }) => change.actions))).toEqual(new Set(["create"]));
  expect((await terraform.plan()).changes).toEqual([]);
  expect(await terraform.outputs()).toMatchObject({ unsafe_flags: [] });

  // WHEN every worker holds a job, and it is destroyed
  const workers = await protectAll();
  await terraform.destroy();

  // THEN
  expect(workers).toBeGreaterThan(0);
  expect(await terraform.state()).toEqual([]);
  expect(await groups()).toEqual([]);
  expect(await livingInstances()).toEqual([]);
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

async function livingInstances(): Promise<(string | undefined)[]> {
  const { Reservations = [] } = await new EC2Client(client()).send(new DescribeInstancesCommand());
  return Reservations.flatMap(({ Instances = [] }) => Instances)
    .filter(({ State }) => State?.Name !== "terminated")
    .map(({ InstanceId }) => InstanceId);
}
