import { existsSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { readDeployments } from "../../stacks/deployments";
import { synthesize } from "../../stacks/synthesize";
import { workerFleet } from "../../stacks/worker-fleet";
import { useScratch } from "../support/scratch";

const scratch = useScratch();

const DOCUMENT = `
kind: worker-fleet
name: test
aws: { region: us-west-2 }
control_plane:
  url: https://control.example.com
  token: { secrets_manager_arn: "arn:aws:secretsmanager:us-west-2:111122223333:secret:t-Ab12Cd" }
network: { vpc_id: vpc-1, subnet_ids: [subnet-1, subnet-2], route_table_ids: [rtb-1] }
daemon_release:
  version: 1.8.0
  sha256: { arm64: ${"a".repeat(64)}, x86_64: ${"b".repeat(64)} }
egress: {}
pools:
  cdc: { instance_types: [c7g.large], size: { min: 1, max: 4 } }
`;

/** The document with the values at some paths replaced; null takes a key out. */
function edited(edits: Readonly<Record<string, unknown>>): string {
  const document = parse(DOCUMENT);
  for (const [path, value] of Object.entries(edits)) {
    const keys = path.split(".");
    const last = keys.pop() ?? "";
    const parent = keys.reduce((object, key) => {
      object[key] ??= {};
      return object[key];
    }, document);
    if (value === null) {
      delete parent[last];
    } else {
      parent[last] = value;
    }
  }
  return stringify(document);
}

/** What is objected to, without file and position; nothing may have been written. */
function problems(edits: Readonly<Record<string, unknown>>): string[] {
  const outdir = join(scratch.path, "out");
  try {
    synthesize(readDeployments([scratch.write("fleet.yaml", edited(edits))], [workerFleet]), outdir);
  } catch (error) {
    expect(existsSync(outdir)).toBe(false);
    return (error as Error).message.split("\n").map((line) => line.replace(/^\S+\/fleet\.yaml:\d+:\d+:? /, ""));
  }
  return [];
}

test("the document that the others are variations of is good", () => {
  expect(problems({})).toEqual([]);
});

const PRIVATE = { "control_plane.private_link": { service_name: "com.amazonaws.vpce.us-west-2.vpce-svc-0a1b" } };
const QUEUE = "arn:aws:sqs:us-west-2:111122223333:mail";

test.each<[string, Readonly<Record<string, unknown>>, string]>([
  ["no pool", { pools: {} }, "pools: got a map; should have at least one pool"],
  ["min above max", { "pools.cdc.size": { min: 5, max: 3 } }, "pools.cdc.size.min: got 5; should be <= size.max (3)"],
  [
    "an initial size outside",
    { "pools.cdc.size": { min: 1, max: 3, initial: 4 } },
    "pools.cdc.size.initial: got 4; should be from size.min (1) to size.max (3)",
  ],
  [
    "no slots for a type that has no default",
    { "pools.cdc.instance_types": ["c7g.large", "c7g.2xlarge"] },
    "pools.cdc.slots: is needed: there is no default for c7g.2xlarge; give the number of jobs that one worker runs at a time",
  ],
  [
    "a deadline beyond the hook's reach",
    { "pools.cdc.drain.deadline_seconds": 86_400, "pools.cdc.hooks.terminate_timeout_seconds": 300 },
    "pools.cdc.drain.deadline_seconds: got 86400; should be <= 30000, as far as heartbeats carry " +
      "hooks.terminate_timeout_seconds (300); raise that to 864 or leave it out",
  ],
  [
    "a type without an image",
    { "pools.cdc.instance_types": ["c6i.large", "c7g.large"], "pools.cdc.images": { x86_64: "ami-0123456789abcdef0" } },
    'pools.cdc.instance_types[1]: got "c7g.large"; runs arm64, and images has none for it; set images.arm64 or leave the type out',
  ],
  [
    "an image without a type",
    { "pools.cdc.images": { arm64: "ami-0123456789abcdef0", x86_64: "ami-0123456789abcdef1" } },
    'pools.cdc.images.x86_64: got "ami-0123456789abcdef1"; is for x86_64, and no instance type (c7g.large) runs it',
  ],
  [
    "an architecture without a checksum",
    { "daemon_release.sha256.arm64": null },
    'pools.cdc.instance_types[0]: got "c7g.large"; runs arm64, and daemon_release.sha256 has none for it; set daemon_release.sha256.arm64',
  ],
  [
    "a warm pool beside Spot",
    { "pools.cdc.warm_pool": {}, "pools.cdc.spot": {} },
    "pools.cdc.warm_pool: got a map; needs one On-Demand instance type, and this pool has spot; " +
      "AWS refuses a warm pool beside a mixed instances policy",
  ],
  [
    "a warm pool beside several types",
    { "pools.cdc.warm_pool": {}, "pools.cdc.instance_types": ["c7g.large", "m7g.large"] },
    "pools.cdc.warm_pool: got a map; needs one On-Demand instance type, and this pool has c7g.large, m7g.large; " +
      "AWS refuses a warm pool beside a mixed instances policy",
  ],
  [
    "a refresh that is too wide",
    { "pools.cdc.instance_refresh": { min_healthy_percent: 40 } },
    "pools.cdc.instance_refresh.max_healthy_percent: should be at most 100 above instance_refresh.min_healthy_percent (40)",
  ],
  [
    "maintenance that is too wide",
    { "pools.cdc.maintenance": { min_healthy_percent: 50, max_healthy_percent: 160 } },
    "pools.cdc.maintenance.max_healthy_percent: got 160; should be at most 100 above maintenance.min_healthy_percent (50)",
  ],
  [
    "checkpoints that descend",
    { "pools.cdc.instance_refresh.checkpoint_percents": [50, 20] },
    "pools.cdc.instance_refresh.checkpoint_percents[1]: got 20; should be more than the one before it (50)",
  ],
  [
    "a schedule that changes nothing",
    { "pools.cdc.schedules.night": { cron: "0 0 * * *" } },
    "pools.cdc.schedules.night: got a map; changes nothing; give min, max or desired",
  ],
  [
    "a schedule with min above max",
    { "pools.cdc.schedules.night": { cron: "0 0 * * *", min: 3, max: 2 } },
    "pools.cdc.schedules.night.min: got 3; should be <= schedules.night.max (2)",
  ],
  [
    "a queue that is not named",
    { "pools.cdc.backlog.source": "sqs" },
    "pools.cdc.backlog.queue_arn: is needed with source sqs",
  ],
  [
    "a queue that is not the source",
    { "pools.cdc.backlog.queue_arn": QUEUE },
    `pools.cdc.backlog.queue_arn: got "${QUEUE}"; needs source sqs; the control plane counts jobs itself`,
  ],
  [
    "secrets of messages without a queue",
    { "pools.cdc.backlog.secret_arns": ["arn:aws:secretsmanager:us-west-2:111122223333:secret:*"] },
    "pools.cdc.backlog.secret_arns: got a list; needs source sqs; the control plane counts jobs itself",
  ],
  [
    "no control plane and no queue",
    { control_plane: null },
    "control_plane: is needed: pool cdc takes its jobs from there; give it a queue (backlog.source: sqs) to do without",
  ],
  [
    "a release key of another kind",
    {
      "upgrade.release_key":
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n",
    },
    'upgrade.release_key: got "-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0D…; should be an Ed25519 public key in PEM, as openssl pkey -pubout writes it',
  ],
  [
    "an alarm that waits longer than it looks",
    { "pools.cdc.scale_out": { evaluation_minutes: 2, minutes_to_alarm: 3 } },
    "pools.cdc.scale_out.minutes_to_alarm: got 3; should be <= scale_out.evaluation_minutes (2)",
  ],
  [
    "more operations than the volume has",
    { "pools.cdc.root_volume": { size_gib: 10, iops: 6_000 } },
    "pools.cdc.root_volume.iops: got 6000; should be <= 5000: gp3 has 500 for each GiB of root_volume.size_gib (10)",
  ],
  [
    "more throughput than the operations carry",
    { "pools.cdc.root_volume": { throughput_mibps: 1_000 } },
    "pools.cdc.root_volume.throughput_mibps: got 1000; should be <= 750: gp3 has a quarter of root_volume.iops (3000)",
  ],
  [
    "SSH from everywhere",
    { ssh: { key_name: "ops", cidr: "0.0.0.0/0" } },
    'ssh.cidr: got "0.0.0.0/0"; opens port 22 to everyone; name the block of a bastion or a VPN',
  ],
  [
    "a key for what is not encrypted",
    {
      "encryption.volume_kms_key_arn": "arn:aws:kms:us-west-2:111122223333:key/1",
      "unsafe.unencrypted_root_volume": true,
    },
    "unsafe.unencrypted_root_volume: got true; contradicts encryption.volume_kms_key_arn; drop one",
  ],
  [
    "no network",
    { network: {} },
    "network: got a map; should have vpc_id and subnet_ids of a VPC that exists, or create",
  ],
  [
    "two networks",
    { "network.create": { cidr_block: "10.0.0.0/20", availability_zones: ["us-west-2a"] } },
    "network: got a map; should have create or vpc_id, subnet_ids, route_table_ids, not both",
  ],
  [
    "no token",
    { "control_plane.token": {} },
    "control_plane.token: got a map; should have exactly one of secrets_manager_arn and ssm_parameter_arn",
  ],
  [
    "private link without route tables",
    { ...PRIVATE, "network.route_table_ids": null },
    "network.route_table_ids: is needed with control_plane.private_link: its S3 gateway is a route",
  ],
  [
    "private link beside NAT",
    {
      ...PRIVATE,
      network: { create: { cidr_block: "10.0.0.0/20", availability_zones: ["us-west-2a"], nat_gateways: "single" } },
    },
    'network.create.nat_gateways: got "single"; contradicts control_plane.private_link, which has no way to the internet; drop one',
  ],
  [
    "private link with public HTTPS",
    { ...PRIVATE, "egress.https_cidrs": ["10.0.0.0/8"] },
    "egress.https_cidrs: got a list; contradicts control_plane.private_link, where HTTPS goes to endpoints alone; drop one",
  ],
  [
    "private link with an open database rule",
    { ...PRIVATE, "egress.postgres": ["10.0.0.0/8", "0.0.0.0/0"] },
    'egress.postgres[1]: got "0.0.0.0/0"; reaches the internet, which control_plane.private_link rules out',
  ],
  [
    "private link with another open rule",
    { ...PRIVATE, "egress.other.kafka": { description: "Kafka", from_port: 9092, cidrs: ["::/0"] } },
    'egress.other.kafka.cidrs[0]: got "::/0"; reaches the internet, which control_plane.private_link rules out',
  ],
  [
    "a port range from end to start",
    { "egress.other.kafka": { description: "Kafka", from_port: 9092, to_port: 9090, cidrs: ["10.0.0.0/8"] } },
    "egress.other.kafka.to_port: got 9090; should be >= egress.other.kafka.from_port (9092)",
  ],
  [
    "a block that is none",
    { "egress.postgres": ["10.0.0.0/33"] },
    'egress.postgres[0]: got "10.0.0.0/33"; should be an IPv4 or IPv6 block, such as 10.20.0.0/16',
  ],
  [
    "a retention that CloudWatch does not have",
    { "logs.retention_days": 31 },
    "logs.retention_days: got 31; should be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, " +
      "1827, 2192, 2557, 2922, 3288, 3653",
  ],
  [
    "a misspelt key",
    { "pools.cdc.instance_type": ["c7g.large"] },
    "pools.cdc.instance_type: unknown key; did you mean instance_types?",
  ],
  [
    "a drain mode that is none",
    { "pools.cdc.drain.mode": "wait" },
    'pools.cdc.drain.mode: got "wait"; expected one of handoff, finish',
  ],
  [
    "a release in a region that a gateway does not reach",
    { ...PRIVATE, "daemon_release.region": "eu-west-1" },
    "test: release bucket ez-cdc-releases is in eu-west-1, the fleet in us-west-2: an S3 gateway endpoint reaches its own region " +
      "only. Mirror the release (aws s3 sync s3://ez-cdc-releases/PREFIX/ s3://BUCKET-IN-us-west-2/PREFIX/ " +
      "--source-region eu-west-1 --region us-west-2) and name that bucket",
  ],
])("%s", (_name, edits, message) => {
  expect(problems(edits)).toEqual([message]);
});

test.each<[string, Readonly<Record<string, unknown>>, string]>([
  ["a moving release", { "daemon_release.version": "latest" }, 'daemon_release.version: got "latest"; expected'],
  ["a short checksum", { "daemon_release.sha256.arm64": "abc" }, 'daemon_release.sha256.arm64: got "abc"; expected'],
  [
    "a plain-text control plane",
    { "control_plane.url": "http://control" },
    'control_plane.url: got "http://control"; expected',
  ],
  [
    "a secret's ARN without its last six characters",
    { "control_plane.token": { secrets_manager_arn: "arn:aws:secretsmanager:us-west-2:111122223333:secret:t" } },
    "control_plane.token.secrets_manager_arn: got",
  ],
  [
    "a type that is none",
    { "pools.cdc.instance_types": ["large"] },
    'pools.cdc.instance_types[0]: got "large"; should be <family>.<size>, such as c7g.large',
  ],
  ["no type", { "pools.cdc.instance_types": [] }, "pools.cdc.instance_types: got a list; expected"],
  [
    "a cron of six fields",
    { "pools.cdc.schedules.n": { cron: "0 0 * * * *", min: 1 } },
    "pools.cdc.schedules.n.cron: got",
  ],
  [
    "a pool in capitals",
    { "pools.CDC": { instance_types: ["c7g.large"], size: { min: 0, max: 1 } } },
    "pools.CDC: the key must be",
  ],
  [
    "a deadline of three days",
    { "pools.cdc.drain.deadline_seconds": 259_200 },
    "pools.cdc.drain.deadline_seconds: got 259200; expected",
  ],
  [
    "a hook of three hours",
    { "pools.cdc.hooks.launch_timeout_seconds": 10_800 },
    "pools.cdc.hooks.launch_timeout_seconds: got 10800; expected",
  ],
  ["SSH without a key", { ssh: { cidr: "10.0.0.0/28" } }, "ssh.key_name: missing; expected"],
  ["no size", { "pools.cdc.size": null }, "pools.cdc.size: missing; expected"],
  [
    "an image that is none",
    { "pools.cdc.images": { arm64: "latest" } },
    'pools.cdc.images.arm64: got "latest"; expected',
  ],
  ["a number as text", { "pools.cdc.slots": "four" }, 'pools.cdc.slots: got "four"; expected'],
  ["a proxy with a password", { proxy: { url: "http://a:b@proxy:3128" } }, "proxy.url: got"],
  [
    "a service of another form",
    { "control_plane.private_link": { service_name: "x" } },
    "control_plane.private_link.service_name: got",
  ],
  ["an ARN of another service", { alarm_topic_arns: [QUEUE] }, "alarm_topic_arns[0]: got"],
])("%s is told by its place, its value and what is allowed", (_name, edits, message) => {
  expect(problems(edits)).toEqual([expect.stringContaining(message)]);
});
