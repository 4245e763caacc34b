import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeModule } from "../../modules/publish/write-module";
import { STATEFUL_CLUSTER_MODULE } from "../../modules/stateful-cluster/published-module";
import { startEmulatedAws } from "../emulator/emulated-aws";
import type { Emulator } from "../emulator/moto";
import { type Terraform, terraformIn } from "../emulator/terraform";
import { missingCommands } from "../test-tiers";
import type { Bench, Measurement } from "./bench";

const SIZES = [3, 30, 100] as const;
const TOOLS = { name: "cluster-plan", proves: "", commands: ["terraform", "moto_server"] };
const REQUEST = "HTTP Request Sent";

/** What a plan and an apply of the published module of a stateful cluster cost as the cluster grows. */
export const clusterPlan: Bench = {
  name: "cluster-plan",
  about:
    "planning a new stateful cluster with the published module against an emulated AWS: seconds, and API calls in the provider's log; " +
    "the calls of an apply and of the plan after it are counted for 3 nodes, and added up from those of one node for more",
  run: async () => {
    const missing = missingCommands(TOOLS);
    if (missing.length > 0) throw new Error(`the bench cluster-plan needs ${missing.join(" and ")} on PATH`);
    const emulator = await startEmulatedAws();
    try {
      const plans: Plan[] = [];
      for (const nodes of SIZES) plans.push(await plan(nodes, emulator));
      const [small, ...larger] = plans as [Plan, ...Plan[]];
      const applied = await apply(SIZES[0], emulator);
      return [row(small, applied), ...larger.map((size) => row(size, extrapolate(applied, size.nodes))), growth(plans)];
    } finally {
      await emulator.stop();
    }
  },
};

interface Plan {
  readonly nodes: number;
  readonly seconds: number;
  readonly calls: number;
}

interface Applied {
  readonly applyCalls: number;
  readonly replanCalls: number;
  /** Of {@link applyCalls} and {@link replanCalls}, those made for one node. */
  readonly perNode: { readonly applyCalls: number; readonly replanCalls: number };
}

async function plan(nodes: number, emulator: Emulator): Promise<Plan> {
  return inCluster(nodes, emulator, async (terraform, logged, calls) => {
    const start = performance.now();
    await terraform.plan();
    const seconds = (performance.now() - start) / 1_000;
    await logged.plan();
    return { nodes, seconds, calls: calls().length };
  });
}

/** Applies a cluster, and counts what is done for one of its nodes by the addresses in the provider's log. */
async function apply(nodes: number, emulator: Emulator): Promise<Applied> {
  return inCluster(nodes, emulator, async (terraform, logged, calls) => {
    await logged.apply();
    const applied = calls();
    await logged.plan();
    const replanned = calls();
    await terraform.destroy();
    const shared = new Set(SHARED_TYPES);
    const perNode = (lines: readonly Line[]) => lines.filter((line) => !shared.has(typeOf(line))).length / nodes;
    return {
      applyCalls: applied.length,
      replanCalls: replanned.length,
      perNode: { applyCalls: perNode(applied), replanCalls: perNode(replanned) },
    };
  });
}

/** Types of which a cluster has as many, however many nodes it has. */
const SHARED_TYPES = [
  "",
  "aws_caller_identity",
  "aws_iam_instance_profile",
  "aws_iam_policy",
  "aws_iam_role",
  "aws_iam_role_policy_attachment",
];

interface Line {
  readonly tf_resource_type?: string;
  readonly tf_data_source_type?: string;
}

const typeOf = (line: Line) => line.tf_resource_type ?? line.tf_data_source_type ?? "";

function extrapolate({ applyCalls, replanCalls, perNode }: Applied, nodes: number) {
  const more = nodes - SIZES[0];
  return { applyCalls: applyCalls + more * perNode.applyCalls, replanCalls: replanCalls + more * perNode.replanCalls };
}

function row(
  { nodes, seconds, calls }: Plan,
  { applyCalls, replanCalls }: Pick<Applied, "applyCalls" | "replanCalls">,
): Measurement {
  return {
    case: `${nodes} nodes`,
    figures: { "plan s": seconds, "plan calls": calls, "apply calls": applyCalls, "next plan": replanCalls },
  };
}

/** Cost of a further node among a hundred to that of one among thirty: 1 is linear. */
function growth(plans: readonly Plan[]): Measurement {
  const [three, thirty, hundred] = plans as [Plan, Plan, Plan];
  const per = (figure: "seconds" | "calls", small: Plan, large: Plan) =>
    (large[figure] - small[figure]) / (large.nodes - small.nodes);
  return {
    case: "growth per node",
    figures: {
      "plan s": per("seconds", thirty, hundred) / per("seconds", three, thirty),
      "plan calls": per("calls", thirty, hundred) / per("calls", three, thirty),
    },
  };
}

/** A root that puts the nodes into the default subnets of three zones, which exist before the plan. */
const root = (nodes: number) => `
provider "aws" {
  region = "us-west-2"
}

data "aws_subnet" "this" {
  count             = 3
  availability_zone = "us-west-2${"${"}["a", "b", "c"][count.index]}"
  default_for_az    = true
}

module "cluster" {
  source          = "../module"
  app_name        = "bench"
  node_image      = "ami-0123456789abcdef0"
  instance_type   = "t3.small"
  security_groups = []
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

/** Runs `work` on a root of this many nodes; `calls` gives the requests of the logged commands since it was last asked. */
async function inCluster<Result>(
  nodes: number,
  emulator: Emulator,
  work: (terraform: Terraform, logged: Terraform, calls: () => Line[]) => Promise<Result>,
): Promise<Result> {
  const scratch = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  try {
    const log = join(scratch, "provider.log");
    const directory = join(scratch, "root");
    writeModule(STATEFUL_CLUSTER_MODULE, join(scratch, "module"));
    mkdirSync(directory);
    writeFileSync(join(directory, "main.tf"), root(nodes));
    const terraform = terraformIn(directory, emulator);
    const logged = terraformIn(directory, emulator, { environment: { TF_LOG: "JSON", TF_LOG_PATH: log } });
    await terraform.init();
    return await work(terraform, logged, () => {
      const lines = readFileSync(log, "utf8").split("\n");
      rmSync(log);
      return lines.filter((line) => line.includes(REQUEST)).map((line) => JSON.parse(line));
    });
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
