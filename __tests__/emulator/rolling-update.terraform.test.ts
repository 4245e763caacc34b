import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import {
  type Activity,
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  DescribeScalingActivitiesCommand,
} from "@aws-sdk/client-auto-scaling";
import { DescribeNetworkInterfacesCommand, DescribeVolumesCommand, EC2Client } from "@aws-sdk/client-ec2";
import { writeModule } from "../../modules/publish/write-module";
import { STATEFUL_CLUSTER_MODULE } from "../../modules/stateful-cluster/published-module";
import { instantMachines } from "../../scripts/emulator/instant-machines";
import { type Terraform, terraformIn } from "../../scripts/emulator/terraform";
import { useEmulatedAws } from "../support/emulator";
import { eventually } from "../support/eventually";

const FIRST = "ami-0123456789abcdef0";
const SECOND = "ami-0fedcba9876543210";
const BROKEN = "ami-00000000000000bad";
const NODES = ["00", "01", "02"];
const CREDENTIALS = { accessKeyId: "emulator", secretAccessKey: "emulator" };

const aws = useEmulatedAws({
  machines: (it) =>
    instantMachines(it, {
      volumesOf: async ({ privateIp }) => [await dataVolumeOf(privateIp)],
      outcome: async ({ imageId }) => {
        // No node of a new cluster is well before all are there: the first apply's roll finds nothing to replace.
        await everyNode(({ instance }) => instance !== undefined);
        return imageId === BROKEN ? "ABANDON" : "CONTINUE";
      },
    }),
});
let directory: string;
let terraform: Terraform;
let ec2: EC2Client;
let autoScaling: AutoScalingClient;

beforeAll(async () => {
  const client = { region: "us-west-2", credentials: CREDENTIALS, endpoint: aws.emulator().url };
  ec2 = new EC2Client(client);
  autoScaling = new AutoScalingClient(client);
  directory = mkdtempSync(join(tmpdir(), "holdfast-rolling-update-"));
  writeModule(STATEFUL_CLUSTER_MODULE, join(directory, "cluster"));
  cpSync(join(__dirname, "../fixtures/cluster-caller.tf"), join(directory, "main.tf"));
  terraform = terraformIn(directory, aws.emulator());
  release(FIRST);
  await terraform.init();
  await terraform.apply();
  // An apply does not wait for the instances of new groups.
  await everyNode(({ inService }) => inService);
});
afterAll(() => rmSync(directory, { recursive: true }));

test("an apply of another image replaces every node, one at a time, and ends when the last is back with its interface and volume", async () => {
  const before = await cluster();
  release(SECOND);

  await terraform.apply();

  const after = await cluster();
  for (const [index, node] of after.entries()) {
    const { instance } = node;
    expect(instance).not.toBe(before[index]?.instance);
    expect(node).toEqual({ ...before[index], instance, version: "2", interfaceAt: instance, volumeAt: instance });
  }
  const absences = (await Promise.all(before.map(absence))).sort((a, b) => a.from - b.from);
  for (const [index, { until }] of absences.slice(0, -1).entries()) {
    expect(until).toBeLessThanOrEqual(absences[index + 1]?.from ?? 0);
  }
});

test("a release that does not come up stops the apply after one node, and Terraform's output says why and what is next", async () => {
  const before = await cluster();
  release(BROKEN);

  const output = await terraform.apply().then(
    () => "applied",
    (error: Error) => stripVTControlCharacters(error.message).replace(/[\s│]+/g, " "),
  );

  expect(output).toContain("null_resource.roll_instances");
  expect(output).toMatch(/HOOK_ABANDONED: the group could not start the replacement \(node 00/);
  expect(output).toContain("why: Instance failed to complete user's Lifecycle Action");
  expect(output).toContain("next: read what the node printed");
  expect((await cluster()).slice(1)).toEqual(before.slice(1));
});

function release(image: string): void {
  const rolling_update = { when: "apply", options: ["--poll", "1s", "--successes", "1"] };
  const override = { module: { cluster: { node_image: image, rolling_update } } };
  writeFileSync(join(directory, "release_override.tf.json"), JSON.stringify(override));
}

const volumeNamed = async (name: string) => {
  const Filters = [{ Name: "tag:Name", Values: [name] }];
  return (await ec2.send(new DescribeVolumesCommand({ Filters }))).Volumes?.[0];
};
const addressOf = (node: string) => `10.50.0.${Number(node) * 16 + 10}`;

/** What a guest finds by its name, once Terraform has made it. */
function dataVolumeOf(privateIp: string): Promise<string> {
  const node = NODES.find((id) => addressOf(id) === privateIp);
  return eventually(async () => (await volumeNamed(`kafka-data-${node}`))?.VolumeId);
}

/** The nodes as AWS shows them. */
function cluster() {
  return Promise.all(
    NODES.map(async (id) => {
      const name = `kafka-node-${id}`;
      const groups = await autoScaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }));
      const [member] = groups.AutoScalingGroups?.[0]?.Instances ?? [];
      const Filters = [{ Name: "addresses.private-ip-address", Values: [addressOf(id)] }];
      const { NetworkInterfaces } = await ec2.send(new DescribeNetworkInterfacesCommand({ Filters }));
      const volume = await volumeNamed(`kafka-data-${id}`);
      return {
        name,
        instance: member?.InstanceId,
        version: member?.LaunchTemplate?.Version,
        inService: member?.LifecycleState === "InService",
        interface: NetworkInterfaces?.[0]?.NetworkInterfaceId,
        interfaceAt: NetworkInterfaces?.[0]?.Attachment?.InstanceId,
        volume: volume?.VolumeId,
        volumeAt: volume?.Attachments?.[0]?.InstanceId,
      };
    }),
  );
}

const everyNode = (is: (node: Awaited<ReturnType<typeof cluster>>[number]) => boolean) =>
  eventually(async () => (await cluster()).every(is) || undefined);

/** From the start of the termination of a node's instance to the end of the only launch after it. */
async function absence({ name, instance }: { readonly name: string; readonly instance: string | undefined }) {
  const { Activities = [] } = await autoScaling.send(
    new DescribeScalingActivitiesCommand({ AutoScalingGroupName: name }),
  );
  const [launch, termination, ...earlier] = Activities;
  expect(launch).toMatchObject({ StatusCode: "Successful", Description: expect.stringContaining("Launching") });
  expect(termination).toMatchObject({ StatusCode: "Successful", Description: `Terminating EC2 instance: ${instance}` });
  expect(earlier).toHaveLength(1);
  return { from: time(termination?.StartTime), until: time(launch?.EndTime) };
}

function time(date: Activity["StartTime"]): number {
  if (date === undefined) throw new Error("the activity has not ended");
  return date.getTime();
}
