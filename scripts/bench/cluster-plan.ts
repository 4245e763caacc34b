import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeModule } from "../../modules/publish/write-module";
import { STATEFUL_CLUSTER_MODULE } from "../../modules/stateful-cluster/published-module";
import { run } from "../emulator/child";
import type { Emulator } from "../emulator/moto";
import { emulatorEnvironment } from "../emulator/terraform";
import { missingCommands } from "../test-tiers";
import type { Bench, Measurement, Progress } from "./bench";
import { type CountedAws, startCountedAws } from "./counted-aws";

const SIZES = [3, 30, 100] as const;
const TOOLS = { name: "cluster-plan", proves: "", commands: ["terraform", "moto_server"] };
/** The provider waits ten seconds for every new volume: they may all wait at once. */
const APPLY = ["apply", "-auto-approve", "-parallelism=60"];

/** What a plan and an apply of the published module of a stateful cluster cost as the cluster grows. */
export const clusterPlan: Bench = {
  name: "cluster-plan",
  about:
    "a stateful cluster of the published module against an emulated AWS: seconds of its first plan, and of the plan after its apply, each " +
    "beside the first plan of as many plain volumes; and every request that Terraform sends",
  run: async (progress) => {
    const missing = missingCommands(TOOLS);
    if (missing.length > 0) throw new Error(`the bench cluster-plan needs ${missing.join(" and ")} on PATH`);
    const measured: Size[] = [];
    for (const nodes of SIZES) measured.push(await measureSize(nodes, progress));
    return [...measured.map(row), ...growth(measured)];
  },
};

interface Cost {
  readonly seconds: number;
  readonly calls: number;
  readonly output: string;
}

interface Size {
  readonly nodes: number;
  readonly resources: number;
  readonly plan: Cost;
  readonly plain: Cost;
  readonly apply: Cost;
  readonly nextPlan: Cost;
}

async function measureSize(nodes: number, progress: Progress): Promise<Size> {
  const scratch = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  const aws = await startCountedAws();
  try {
    writeModule(STATEFUL_CLUSTER_MODULE, join(scratch, "module"));
    const step = async (folder: string, ...args: string[]): Promise<Cost> => {
      const cost = await terraform(join(scratch, folder), aws, args);
      progress(`${nodes} nodes: terraform ${args[0]} in ${folder}: ${cost.seconds.toFixed(1)} s, ${cost.calls} calls`);
      return cost;
    };
    await writeRoot(join(scratch, "cluster"), cluster(nodes), aws);
    const plan = await step("cluster", "plan");
    const resources = Number(/Plan: (\d+) to add/.exec(plan.output)?.[1]);
    await writeRoot(join(scratch, "plain"), plain(resources), aws);
    const bare = await step("plain", "plan");
    const apply = await step("cluster", ...APPLY);
    const nextPlan = await step("cluster", "plan", "-detailed-exitcode");
    return { nodes, resources, plan, plain: bare, apply, nextPlan };
  } finally {
    await aws.stop();
    rmSync(scratch, { recursive: true });
  }
}

async function writeRoot(directory: string, text: string, aws: CountedAws): Promise<void> {
  mkdirSync(directory);
  writeFileSync(join(directory, "main.tf"), text);
  await terraform(directory, aws, ["init"]);
}

/** @throws Error with what Terraform printed, where it fails, or finds changes that it was told there are none of. */
async function terraform(directory: string, aws: CountedAws & Emulator, args: readonly string[]): Promise<Cost> {
  aws.calls();
  const start = performance.now();
  const { code, stdout, stderr } = await run("terraform", [...args, "-no-color"], {
    cwd: directory,
    env: emulatorEnvironment(aws),
  });
  const seconds = (performance.now() - start) / 1_000;
  if (code !== 0) throw new Error(`terraform ${args.join(" ")} ended with ${code}\n${stderr || stdout}`);
  return { seconds, calls: aws.calls(), output: stdout };
}

function row({ nodes, resources, plan, plain: bare, apply, nextPlan }: Size): Measurement {
  return {
    case: `${nodes} nodes`,
    figures: {
      resources,
      "plan s": plan.seconds,
      "/ plain": plan.seconds / bare.seconds,
      "plan calls": plan.calls,
      "apply calls": apply.calls,
      "next plan s": nextPlan.seconds,
      "next / plain": nextPlan.seconds / bare.seconds,
      "next calls": nextPlan.calls,
    },
  };
}

/** What a further node costs, between each size and the next: the same throughout where cost is linear. */
function growth(sizes: readonly Size[]): Measurement[] {
  return sizes.slice(1).map((large, i) => {
    const small = sizes[i] as Size;
    const each = (figure: (size: Size) => number) => (figure(large) - figure(small)) / (large.nodes - small.nodes);
    return {
      case: `a node more, ${small.nodes} to ${large.nodes}`,
      figures: {
        resources: each(({ resources }) => resources),
        "plan s": each(({ plan }) => plan.seconds),
        "plan calls": each(({ plan }) => plan.calls),
        "apply calls": each(({ apply }) => apply.calls),
        "next plan s": each(({ nextPlan }) => nextPlan.seconds),
        "next calls": each(({ nextPlan }) => nextPlan.calls),
      },
    };
  });
}

const PROVIDER = `
provider "aws" {
  region = "us-west-2"
}
`;

/** As many resources, which need nothing and are asked for nothing. */
const plain = (resources: number) => `${PROVIDER}
resource "aws_ebs_volume" "this" {
  count             = ${resources}
  availability_zone = "us-west-2a"
  size              = 20
}
`;

/** A root that puts the nodes into the default subnets of three zones, which exist before the plan. */
const cluster = (nodes: number) => `${PROVIDER}
data "aws_subnet" "this" {
  count             = 3
  availability_zone = "us-west-2\${["a", "b", "c"][count.index]}"
  default_for_az    = true
}

data "aws_security_group" "default" {
  name   = "default"
  vpc_id = data.aws_subnet.this[0].vpc_id
}

module "cluster" {
  source          = "../module"
  app_name        = "bench"
  node_image      = "ami-0123456789abcdef0"
  instance_type   = "t3.small"
  security_groups = [data.aws_security_group.default.id]
  nodes = [
    for i in range(${nodes}) : {
      node_id        = format("%03d", i)
      node_ip        = cidrhost(data.aws_subnet.this[i % 3].cidr_block, 10 + i)
      node_subnet_id = data.aws_subnet.this[i % 3].id
    }
  ]
  default_data_volume = {
    size_in_gibs           = 20
    type                   = "gp3"
    mount_path             = "/data"
    file_system_type       = "xfs"
    mount_path_owner_user  = "root"
    mount_path_owner_group = "root"
  }
  node_config_script = base64encode("configure_cluster_node() { :; }\\nwait_for_healthy_cluster() { :; }\\n")
}
`;
