import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateVolumeCommand, EC2Client } from "@aws-sdk/client-ec2";
import { writeModule } from "../../../modules/publish/write-module";
import { STATEFUL_CLUSTER_MODULE } from "../../../modules/stateful-cluster/published-module";
import { type PlannedChange, type Terraform, terraformIn } from "../../../scripts/emulator/terraform";
import { useEmulatedAws } from "../../support/emulator";

const FIXTURES = join(__dirname, "../../fixtures");
const aws = useEmulatedAws();
let directory: string;
let before: Readonly<Record<string, unknown>>;
let ours: Terraform;

/** A user's root whose cluster is made by `module`, over the state that is there. */
async function root(module: "former" | "ours"): Promise<Terraform> {
  const cluster = join(directory, "cluster");
  rmSync(cluster, { recursive: true, force: true });
  if (module === "former") cpSync(join(FIXTURES, "former-cluster"), cluster, { recursive: true });
  else writeModule(STATEFUL_CLUSTER_MODULE, cluster);
  cpSync(join(FIXTURES, "cluster-caller.tf"), join(directory, "main.tf"));
  const terraform = terraformIn(directory, aws.emulator());
  await terraform.init();
  return terraform;
}

const credentials = { accessKeyId: "emulator", secretAccessKey: "emulator" };
const client = () => ({ endpoint: aws.emulator().url, region: "us-west-2", credentials });

const overrides = (nodes: Record<string, Record<string, string>>) => [
  "-var",
  `node_overrides=${JSON.stringify(nodes)}`,
];
const byAction = (changes: readonly PlannedChange[], action: string) =>
  changes.filter(({ change }) => change.actions.includes(action)).map(({ address }) => address);
const node = (id: string, ...resources: string[]) =>
  resources.map((resource) => `module.cluster.module.cluster_nodes["${id}"].${resource}`);
const every = (...resources: string[]) => ["00", "01", "02"].flatMap((id) => node(id, ...resources));
const TRIGGER = "module.cluster.null_resource.roll_instances[0]";
const TEMPLATE = ["aws_autoscaling_group.node_asg", "aws_launch_template.node"];

// One cluster, since Terraform and its provider take their time: made by the former module, taken over in the first test.
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-drop-in-"));
  const former = await root("former");
  await former.apply();
  before = await former.outputs();
});
afterAll(() => rmSync(directory, { recursive: true }));

test("a cluster of the former module goes on under ours: only templates, their groups and the policy change, and the trigger goes", async () => {
  ours = await root("ours");
  const { changes } = await ours.plan();

  // It holds nothing, and its end does nothing.
  expect(byAction(changes, "delete")).toEqual([TRIGGER]);
  expect(byAction(changes, "create")).toEqual([]);
  expect(byAction(changes, "update").sort()).toEqual(
    ["module.cluster.aws_iam_policy.node_policy", ...every(...TEMPLATE)].sort(),
  );
});

test("applied, it is what it was, without the trigger: nothing changes in the next plan", async () => {
  await ours.apply();

  expect((await ours.plan()).changes).toEqual([]);
  expect((await ours.state()).filter((address) => address.includes("null_resource"))).toEqual([]);
  const { asg_names, role } = await ours.outputs();
  expect({ asg_names, role }).toEqual({ asg_names: before["asg_names"], role: before["role"] });
});

test("what is different about a node touches that node alone: a larger disk, another image, one that is added, one that goes", async () => {
  const { changes } = await ours.plan(
    ...["-var", 'node_ids=["00","01","03"]'],
    ...overrides({ "00": { size: "40" }, "01": { image: "ami-0fedcba9876543210" } }),
  );
  const touching = (id: string) =>
    changes
      .filter(({ address }) => address.includes(`["${id}"]`))
      .map(({ address, change }) => [address, ...change.actions]);

  expect(touching("00")).toEqual(node("00", "aws_ebs_volume.node_data").map((address) => [address, "update"]));
  expect(touching("01").sort()).toEqual(node("01", ...TEMPLATE).map((address) => [address, "update"]));
  expect(new Set(touching("02").map(([, ...actions]) => actions.join()))).toEqual(new Set(["delete"]));
  expect(new Set(touching("03").map(([, ...actions]) => actions.join()))).toEqual(new Set(["create"]));
  // What names every node.
  expect(changes.filter(({ address }) => !address.includes("cluster_nodes")).map(({ address }) => address)).toEqual([
    "module.cluster.aws_iam_policy.node_policy",
  ]);
});

/** What a plan is refused with, on one line. */
const refusal = (nodes: Record<string, Record<string, string>>, ...options: string[]) =>
  ours.plan(...overrides(nodes), ...options).then(
    () => "nothing was refused",
    ({ message }: Error) => message.slice(message.indexOf("Error:")).replace(/[\s\u2502]+/g, " "),
  );

test("a subnet in another zone and a volume that is half described are refused at plan, each with its node", async () => {
  const said = await refusal({ "01": { zone: "c" }, "02": { volume: "wal", volume_size: "10" } });

  expect(said).toMatch(/Node 01: volume data is in us-west-2b, subnet subnet-\w+ in us-west-2c/);
  expect(said).toContain("Node 02: each of its additional volumes must have a size, a type, a mount path");
  expect(said).toContain("Node 02: two of its data volumes have the same device name: /dev/sdf, /dev/sdf.");
});

test("a key that a volume was not made with is refused at plan, which would replace the volume and its data", async () => {
  const said = await refusal({ "02": { key: KEY } });

  expect(said).toMatch(/Node 02: volume data is encrypted under arn:aws:kms:us-west-2:\S+, not under kms_key_arn\./);
  expect(said).toContain("A volume keeps its key: give that one or none, or copy the data through a snapshot");
});

test("a volume that is moved in without encryption is refused at plan, and not replaced by an empty one", async () => {
  const { VolumeId } = await new EC2Client(client()).send(
    new CreateVolumeCommand({ AvailabilityZone: "us-west-2a", Size: 20, VolumeType: "gp3", Encrypted: false }),
  );
  const imported = join(directory, "import.tf.json");
  writeFileSync(
    imported,
    JSON.stringify({ import: [{ to: node("03", "aws_ebs_volume.node_data")[0], id: VolumeId }] }),
  );

  const said = await refusal({}, "-var", 'node_ids=["00","01","02","03"]').finally(() => rmSync(imported));

  expect(said).toContain("Node 03: volume data is not encrypted, and no volume can be afterwards");
});

test("files that do not fit into user data are refused at plan", async () => {
  expect(await refusal({ "00": { file: incompressible(8_000) } })).toContain("do not fit into user data");
});

test("every option beyond the former module's adds to what is there: nothing is replaced, no interface is touched", async () => {
  const override = join(directory, "options_override.tf.json");
  writeFileSync(override, JSON.stringify({ module: { cluster: OPTIONS } }));
  const { changes } = await ours
    .plan(...overrides({ "01": { volume: "wal", volume_size: "30" } }))
    .finally(() => rmSync(override));

  expect(byAction(changes, "delete")).toEqual([]);
  expect(byAction(changes, "update").sort()).toEqual(
    ["module.cluster.aws_iam_policy.node_policy", ...every(...TEMPLATE, "aws_ebs_volume.node_data")].sort(),
  );
  expect(byAction(changes, "create").sort()).toEqual(
    [
      ...["boot_failed", "launch_failed"].flatMap((alarm) => [
        `module.cluster.aws_cloudwatch_event_rule.${alarm}[0]`,
        `module.cluster.aws_cloudwatch_event_target.${alarm}[0]`,
        `module.cluster.aws_cloudwatch_metric_alarm.${alarm}[0]`,
      ]),
      "module.cluster.aws_dlm_lifecycle_policy.snapshots[0]",
      "module.cluster.aws_iam_role.snapshots[0]",
      "module.cluster.aws_iam_role_policy_attachment.snapshots[0]",
      "module.cluster.aws_kms_grant.root_volume_key[0]",
      ...every(
        "aws_autoscaling_lifecycle_hook.launch_hook[0]",
        "aws_cloudwatch_metric_alarm.below_capacity[0]",
        'aws_cloudwatch_metric_alarm.volume_burst_balance["wal"]',
        'aws_cloudwatch_metric_alarm.volume_latency["data"]',
        'aws_cloudwatch_metric_alarm.volume_latency["wal"]',
        'aws_ebs_volume.node_data_additional["wal"]',
      ),
    ].sort(),
  );
  const granting = changes.find(({ type }) => type === "aws_iam_policy")?.change.after;
  expect(JSON.parse(String(granting?.["policy"])).Statement).toContainEqual({
    Sid: "GrantKeysToVolumes",
    Effect: "Allow",
    Action: "kms:CreateGrant",
    Resource: KEY,
    Condition: { Bool: { "kms:GrantIsForAWSResource": "true" } },
  });
  const policy = changes.find(({ type }) => type === "aws_dlm_lifecycle_policy")?.change.after;
  expect(policy?.["policy_details"]).toMatchObject([
    {
      target_tags: { "holdfast:snapshots": "kafka" },
      schedule: [{ create_rule: [{ interval: 12, times: ["03:00"] }], retain_rule: [{ count: 7 }] }],
    },
  ]);
  const volumes = changes.filter(({ type }) => type === "aws_ebs_volume").map(({ change }) => change.after);
  for (const volume of volumes) expect(volume?.["tags"]).toMatchObject({ "holdfast:snapshots": "kafka" });
  const further = volumes.filter((volume) => volume?.["type"] === "gp2");
  expect(further.map((volume) => volume?.["size"])).toEqual([10, 30, 10]);
});

const KEY = "arn:aws:kms:us-west-2:123456789012:key/8a2e1f0c-0000-4000-8000-000000000001";
const OPTIONS = {
  snapshots: { every_hours: 12 },
  alarms: { topic_arns: ["arn:aws:sns:us-west-2:123456789012:operators"] },
  manage_launch_hook: true,
  root_volume_kms_key_arn: KEY,
  additional_data_volumes: {
    wal: {
      device_name: "/dev/sdg",
      size_in_gibs: 10,
      type: "gp2",
      mount_path: "/wal",
      file_system_type: "ext4",
      mount_path_owner_user: "kafka",
      mount_path_owner_group: "kafka",
      kms_key_arn: KEY,
    },
  },
};

/** Text that a compressor makes little of. */
function incompressible(characters: number): string {
  let state = 1;
  return Array.from({ length: characters }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return String.fromCharCode(97 + (state % 26));
  }).join("");
}
