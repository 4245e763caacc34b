import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { readDeployments } from "../../stacks/deployments";
import { KINDS } from "../../stacks/kinds";
import { synthesize } from "../../stacks/synthesize";
import { useScratch } from "../support/scratch";
import type { Block } from "../support/synthesized-stack";

const EXAMPLE = readFileSync(join(__dirname, "../../deployments/zookeeper.yaml"), "utf8");
const scratch = useScratch();

/** Synthesizes the example with a change. */
function deploy(change: (document: Block) => void): Block {
  const document: Block = parse(EXAMPLE);
  change(document);
  const outdir = join(scratch.path, "out");
  const file = scratch.write("zookeeper.yaml", stringify(document, { aliasDuplicateObjects: false }));
  const [stack] = synthesize(readDeployments([file], KINDS), outdir);
  return JSON.parse(readFileSync(join(outdir, stack?.path ?? ""), "utf8"));
}

/** What reading, or else synthesizing, the example with a change objects to, without the lines' places. */
function problems(change: (document: Block) => void): string[] {
  try {
    deploy(change);
  } catch (error) {
    expect(existsSync(join(scratch.path, "out"))).toBe(false);
    return (error as Error).message
      .replaceAll(`${scratch.path}/zookeeper.yaml:`, "")
      .split("\n")
      .map((line) => line.replace(/^\d+:\d+: /, ""));
  }
  throw new Error("nothing was objected to");
}

test("the example synthesizes offline: three nodes, their alarms, the script as it lies in examples/", () => {
  const { resource, terraform } = deploy(() => {});

  expect(Object.keys(resource.aws_autoscaling_group)).toHaveLength(3);
  expect(Object.values<Block>(resource.aws_ebs_volume).map(({ size }) => size)).toEqual([20, 20, 40]);
  expect(Object.values<Block>(resource.aws_cloudwatch_metric_alarm).map(({ alarm_name }) => alarm_name)).toContain(
    "zookeeper-boot-failed",
  );
  expect(terraform.required_providers.aws.version).toBe(">= 5.100.0, < 7.0.0");
  expect(parse(EXAMPLE).node_config_script).toBe(
    readFileSync(join(__dirname, "../../examples/zookeeper/node-config-script.sh"), "utf8"),
  );
});

const SECRET_ARN = "arn:aws:secretsmanager:us-west-2:111122223333:secret:zk-Ab12Cd";

/** Text of hexadecimal digests, of which a compressor saves half. */
const incompressible = (characters: number) =>
  Array.from({ length: Math.ceil(characters / 64) }, (_, i) =>
    createHash("sha256").update(String(i)).digest("hex"),
  ).join("");

const ARCHIVE = {
  device_name: "/dev/sdh",
  size_in_gibs: 500,
  type: "st1",
  mount_path: "/archive",
  file_system_type: "xfs",
  mount_path_owner_user: "zookeeper",
  mount_path_owner_group: "zookeeper",
};

test("every option of a document reaches a resource", () => {
  const { resource, locals } = deploy((document) => {
    document["snapshots"] = { every_hours: 6, keep: 28 };
    document["root_volume_kms_key_arn"] = "arn:aws:kms:us-west-2:111122223333:key/8a2e1f0c-0000-4000-8000-000000000001";
    document["additional_data_volumes"] = {
      txlog: { ...document["default_data_volume"], device_name: "/dev/sdg", mount_path: "/txlog" },
    };
    document["nodes"][1].additional_data_volumes = { txlog: { size_in_gibs: 60 }, archive: ARCHIVE };
  });
  const only = (type: string) => Object.values<Block>(resource[type])[0];

  expect(only("aws_dlm_lifecycle_policy")?.policy_details.schedule[0]).toMatchObject({
    create_rule: { interval: 6 },
    retain_rule: { count: 28 },
  });
  expect(only("aws_kms_grant")?.operations).toContain("CreateGrant");
  expect(only("aws_launch_template")?.block_device_mappings[0].ebs.kms_key_id).toMatch(/^arn:aws:kms:/);
  expect(Object.keys(resource.aws_ebs_volume)).toHaveLength(6);
  expect(Object.keys(resource.aws_autoscaling_lifecycle_hook)).toHaveLength(3);
  const further = Object.entries<Block>(locals).filter(([name]) => name.includes("additional_volumes"));
  expect(further.map(([, volumes]) => volumes)).toEqual([
    { txlog: expect.objectContaining({ sizeGiB: 20 }) },
    { txlog: expect.objectContaining({ sizeGiB: 60 }), archive: expect.objectContaining({ sizeGiB: 500 }) },
    { txlog: expect.objectContaining({ sizeGiB: 20 }) },
  ]);
});

test("a volume whose node leaves a document leaves a snapshot, unless the document does without", () => {
  const kept = (change: (document: Block) => void) =>
    Object.values<Block>(deploy(change).resource.aws_ebs_volume).map(({ final_snapshot }) => final_snapshot);

  expect(kept(() => {})).toEqual([true, true, true]);
  expect(kept((document) => Object.assign(document, { final_snapshot: false }))).toEqual([false, false, false]);
});

test.each<[string, (document: Block) => void, string[]]>([
  [
    "no script",
    (document) => delete document["node_config_script"],
    [
      "node_config_script: should be given, or node_config_script_s3_url: without a script no node can join its cluster",
    ],
  ],
  [
    "a pin without a script to pin",
    (document) => Object.assign(document, { node_config_script_s3_version_id: "v1" }),
    ['node_config_script_s3_version_id: got "v1"; pins nothing: node_config_script_s3_url is not given'],
  ],
  [
    "a checksum that is none",
    (document) =>
      Object.assign(document, { node_config_script_s3_url: "s3://b/k", node_config_script_s3_sha256: "abc" }),
    ['node_config_script_s3_sha256: got "abc"; expected text matching ^[0-9a-f]{64}$ or null'],
  ],
  [
    "a node id twice",
    ({ nodes }) => Object.assign(nodes[2], { node_id: "00" }),
    ['nodes[2].node_id: got "00"; should be unique; nodes[0] has it too'],
  ],
  [
    "ids that are none",
    (document) =>
      Object.assign(document, { node_image: "debian-12", instance_type: "large", security_groups: ["default"] }),
    [
      'node_image: got "debian-12"; expected text matching ^(ami-[0-9a-f]+|resolve:ssm:.+)$',
      'instance_type: got "large"; should be <family>.<size>, such as r7g.large',
      'security_groups[0]: got "default"; expected text matching ^sg-[0-9a-f]+$',
    ],
  ],
  [
    "a volume of no type and no size, under no device",
    ({ default_data_volume }) =>
      Object.assign(default_data_volume, { type: "gp9", size_in_gibs: 0, device_name: "sdf" }),
    [
      "default_data_volume.size_in_gibs: got 0; expected a whole number from 1 to 65536",
      'default_data_volume.type: got "gp9"; expected one of gp3, gp2, io2, io1, st1, sc1, standard; did you mean gp3?',
      'default_data_volume.device_name: got "sdf"; expected text matching ^\\/dev\\/.*',
    ],
  ],
  [
    "a disk of one node without a number for its size",
    ({ nodes }) => Object.assign(nodes[2].node_data_disk, { size_in_gibs: "forty" }),
    ['nodes[2].node_data_disk.size_in_gibs: got "forty"; should be a whole number from 1 to 65536'],
  ],
  [
    "a secret by its name and a parameter by its ARN",
    (document) =>
      Object.assign(document, {
        node_secret_files: [
          { destination: "/etc/a", secret_arn: "zk/password" },
          { destination: "/etc/b", parameter_name: "arn:aws:ssm:us-west-2:111122223333:parameter/zk" },
        ],
      }),
    [
      'node_secret_files[0].secret_arn: got "zk/password"; should be the full ARN of a secret, its six random characters included',
      'node_secret_files[1].parameter_name: got "arn:aws:ssm:us-west-2:111122223333:parameter/zk"; should be the name of a parameter, without its ARN',
    ],
  ],
  [
    "an address twice",
    ({ nodes }) => Object.assign(nodes[1], { node_ip: "10.50.0.10" }),
    ['nodes[1].node_ip: got "10.50.0.10"; should be unique; nodes[0] has it too'],
  ],
  [
    "an address that is none",
    ({ nodes }) => Object.assign(nodes[1], { node_ip: "10.50.0.300" }),
    ['nodes[1].node_ip: got "10.50.0.300"; expected an IPv4 address such as 10.0.0.7'],
  ],
  [
    "a node id that YAML made a number",
    ({ nodes }) => Object.assign(nodes[1], { node_id: 1 }),
    ["nodes[1].node_id: got 1; expected text matching ^[A-Za-z0-9._-]{1,64}$; put it in quotes"],
  ],
  [
    "no nodes",
    (document) => Object.assign(document, { nodes: [], node_files: [] }),
    [expect.stringMatching(/^nodes: got a list; expected a list of at least 1/) as never],
  ],
  [
    "no security group",
    (document) => Object.assign(document, { security_groups: [] }),
    ["security_groups: got a list; expected a list of at least 1: text matching ^sg-[0-9a-f]+$"],
  ],
  [
    "a key of a node's disk",
    ({ nodes }) => Object.assign(nodes[0], { node_data_disk: { size: "40" } }),
    [
      'nodes[0].node_data_disk.size: got "40"; should not be there; a node may have its own device_name, size_in_gibs, type, iops, throughput_mib_per_sec, mount_path, file_system_type, mount_path_owner_user, mount_path_owner_group, kms_key_arn',
    ],
  ],
  [
    "a misspelt key",
    (document) => Object.assign(document, { node_imag: "ami-1" }),
    ["node_imag: unknown key; did you mean node_image?"],
  ],
  [
    "a key of the module that a document has no use for",
    (document) => Object.assign(document, { manage_launch_hook: true }),
    [expect.stringMatching(/^manage_launch_hook: unknown key/) as never],
  ],
  [
    "a filesystem that no blank volume gets",
    ({ default_data_volume }) => Object.assign(default_data_volume, { file_system_type: "btrfs" }),
    ['default_data_volume.file_system_type: got "btrfs"; expected one of ext4, xfs'],
  ],
  [
    "a relative mount path",
    ({ default_data_volume }) => Object.assign(default_data_volume, { mount_path: "data" }),
    ['default_data_volume.mount_path: got "data"; expected text matching ^\\/\\S*[^\\s/]$'],
  ],
  [
    "throughput of a volume that has none",
    ({ default_data_volume }) => Object.assign(default_data_volume, { type: "gp2", throughput_mib_per_sec: 250 }),
    ["zookeeper: node 00: throughput of volume data (250) is for gp3 volumes, its type is gp2"],
  ],
  [
    "two volumes in one place",
    (document) =>
      Object.assign(document, {
        additional_data_volumes: { log: { ...document["default_data_volume"], device_name: "/dev/sdf" } },
      }),
    [
      'additional_data_volumes.log.mount_path: got "/data"; should be its own; default_data_volume has it too',
      'additional_data_volumes.log.device_name: got "/dev/sdf"; should be its own; default_data_volume has it too',
    ],
  ],
  [
    "half of a volume that one node alone has",
    ({ nodes }) => Object.assign(nodes[1], { additional_data_volumes: { archive: { size_in_gibs: 500 } } }),
    [
      "nodes[1].additional_data_volumes.archive: got a map; should have device_name, type, mount_path, file_system_type, mount_path_owner_user, mount_path_owner_group too: no volume of every node has this name",
    ],
  ],
  [
    "a node's volume in the place of another",
    ({ nodes }) =>
      Object.assign(nodes[1], { additional_data_volumes: { archive: { ...ARCHIVE, device_name: "/dev/sdf" } } }),
    [
      'nodes[1].additional_data_volumes.archive.device_name: got "/dev/sdf"; should be its own; default_data_volume has it too',
    ],
  ],
  [
    "files that do not fit into user data",
    ({ node_files }) => Object.assign(node_files[1].node_files_toupload[0], { contents: incompressible(12_000) }),
    [
      expect.stringMatching(
        /^zookeeper: node 00: user data takes \d+ bytes compressed, .* Its largest parts are .*files.*put the script into S3/,
      ) as never,
    ],
  ],
  [
    "a misspelt key of a node's volume",
    ({ nodes }) => Object.assign(nodes[1], { additional_data_volumes: { archive: { ...ARCHIVE, sise_in_gibs: 1 } } }),
    ["nodes[1].additional_data_volumes.archive.sise_in_gibs: unknown key; did you mean size_in_gibs?"],
  ],
  [
    "a further volume without a device name",
    (document) =>
      Object.assign(document, {
        additional_data_volumes: { log: { ...document["default_data_volume"], mount_path: "/log" } },
      }),
    [expect.stringMatching(/^additional_data_volumes\.log\.device_name: missing; expected text/) as never],
  ],
  [
    "files of a node that there is not",
    ({ node_files }) => Object.assign(node_files[1], { node_id: "07" }),
    ['node_files[1].node_id: got "07"; should be the node_id of a node; there are 00, 01, 02'],
  ],
  [
    "a secret of two sources",
    (document) =>
      Object.assign(document, {
        node_secret_files: [{ destination: "/etc/key", secret_arn: SECRET_ARN, parameter_name: "/y" }],
      }),
    ["node_secret_files[0]: got a map; should have one of secret_arn and parameter_name"],
  ],
  [
    "a mode that is not octal",
    (document) =>
      Object.assign(document, {
        node_secret_files: [{ destination: "/etc/key", secret_arn: SECRET_ARN, mode: "999" }],
      }),
    ['node_secret_files[0].mode: got "999"; expected text matching ^0[0-7]{3}$'],
  ],
  [
    "a hook beyond Auto Scaling's limit",
    (document) => Object.assign(document, { asg_lifecycle_hook_heartbeat_timeout: 9_000 }),
    ["asg_lifecycle_hook_heartbeat_timeout: got 9000; expected a whole number from 30 to 7200"],
  ],
  [
    "snapshots at an interval that there is not",
    (document) => Object.assign(document, { snapshots: { every_hours: 5 } }),
    ["snapshots.every_hours: got 5; expected one of 1, 2, 3, 4, 6, 8, 12, 24"],
  ],
  [
    "a time of day that is none",
    (document) => Object.assign(document, { snapshots: { start_at: "25:00" } }),
    ['snapshots.start_at: got "25:00"; expected text matching ^([01]\\d|2[0-3]):[0-5]\\d$'],
  ],
  [
    "alarms for nobody",
    (document) => Object.assign(document, { alarms: {} }),
    ["alarms.topic_arns: missing; expected a list of text"],
  ],
])("refuses %s, and writes nothing", (_what, change, expected) => {
  expect(problems(change)).toEqual(expected);
});

test("what differs is warned of, not refused: an even number of nodes", () => {
  const document: Block = parse(EXAMPLE);
  document["nodes"].pop();
  document["node_files"].pop();
  const file = scratch.write("even.yaml", stringify(document, { aliasDuplicateObjects: false }));

  const [stack] = synthesize(readDeployments([file], KINDS), join(scratch.path, "out"));

  expect(stack?.warnings).toEqual([expect.stringContaining("cluster zookeeper has 2 nodes: a quorum survives")]);
});
