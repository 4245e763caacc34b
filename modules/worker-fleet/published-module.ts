import { TerraformHclModule, type TerraformResource } from "cdktf";
import type { Construct } from "constructs";
import { hcl, variableString } from "../publish/expressions";
import { ModuleStack } from "../publish/module-stack";
import type { PublishedModule } from "../publish/published-module";
import { declareOutput, declareVariables } from "../publish/variables";
import { EbsKeyGrant } from "../worker-access/ebs-key-grant";
import { WorkerSecurityGroup } from "../worker-access/worker-security-group";
import { WorkerLogs } from "../worker-observability/worker-logs";
import { moduleFleetKeys, moduleInputs } from "./module-inputs";
import { poolModule } from "./module-pool";
import { hasSlotsHcl } from "./worker-slots";

/** Names that the module promises, by construct path. */
const ADDRESSES = {
  "aws_environment/region": "current",
  "aws_environment/partition": "current",
  "aws_environment/caller": "current",
  "worker_logs/agent": "agent",
  "worker_logs/jobs": "jobs",
  "worker_logs/system": "system",
  "security_group/group": "workers",
  "security_group/egress_https_cidrs_0": "egress",
  "security_group/ssh_ingress": "ssh",
  "volume_key_grant/grant": "volumes",
};

const OUTPUTS = {
  auto_scaling_group_name: "Names of the Auto Scaling groups, by pool.",
  auto_scaling_group_arn: "ARNs of the Auto Scaling groups, by pool.",
  role_name: "Names of the workers' roles, by pool.",
  role_arn: "ARNs of the workers' roles, by pool.",
  launch_template: "Launch templates with id and version, by pool.",
  dashboard_name: "Names of the CloudWatch dashboards, by pool.",
  session_command: "Commands that open a shell on a worker, by pool.",
};

/** The nested modules, by their name in the root: what a pool is made of differs by where its jobs come from. */
const POOL_MODULES = {
  pool: { source: "control-plane", nested: "worker-pool" },
  queue_pool: { source: "sqs", nested: "queue-pool" },
} as const;

/** Ids of what has to be there before an instance boots. A dependency of the whole module would hide each change of it from plans. */
const BOOTS_AFTER =
  "concat([for rule in aws_vpc_security_group_egress_rule.egress : rule.id], aws_kms_grant.volumes[*].grant_id, " +
  "[aws_cloudwatch_log_group.agent.id, aws_cloudwatch_log_group.jobs.id, aws_cloudwatch_log_group.system.id])";

/** Whether the pool held by `pool` takes its jobs from there. */
const takesFrom = (source: string) => `pool.backlog.source == "${source}"`;

const NEEDS_CONTROL_PLANE = `anytrue([for pool in values(var.pools) : ${takesFrom("control-plane")}])`;

const INSTANCE_TYPES_FIT =
  "alltrue([for pool in values(var.pools) : alltrue([for type in pool.instance_types : " +
  'can(regex("^(a1|[a-z]+[0-9]+[a-z]*g[a-z]*)[.]", type)) == (pool.architecture == "arm64")])])';

function root(scope: Construct, id: string): ModuleStack {
  const stack = new ModuleStack(scope, id, { addresses: ADDRESSES });
  const variables = declareVariables(stack, moduleInputs, {
    validations: {
      ssh: [
        {
          condition: 'var.ssh == null ? true : !endswith(var.ssh.cidr, "/0")',
          errorMessage: "ssh.cidr must not open port 22 to everyone; name the block of a bastion or a VPN.",
        },
      ],
      pools: [
        {
          condition: INSTANCE_TYPES_FIT,
          errorMessage: "Every instance type of a pool must run the pool's architecture.",
        },
        {
          condition: `alltrue([for pool in values(var.pools) : ${hasSlotsHcl("pool")}])`,
          errorMessage:
            "A pool with an instance type that has no default for slots must give slots, the number of jobs that one worker " +
            "runs at a time.",
        },
        {
          condition: `alltrue([for pool in values(var.pools) : (${takesFrom("sqs")}) == (pool.backlog.queue_arn != null)])`,
          errorMessage: "A pool whose backlog.source is sqs must give backlog.queue_arn, and no other pool may.",
        },
        {
          condition: "alltrue([for pool in values(var.pools) : pool.size.min <= pool.size.max])",
          errorMessage: "size.min of a pool must be <= its size.max.",
        },
        {
          condition:
            "alltrue([for pool in values(var.pools) : " +
            "pool.warm_pool == null || (pool.spot == null && length(pool.instance_types) == 1)])",
          errorMessage:
            "A pool with a warm_pool must have one instance type and no spot: AWS refuses it beside others.",
        },
        {
          condition:
            "alltrue(flatten([for pool in values(var.pools) : [for schedule in values(pool.schedules) : " +
            "schedule.min != null || schedule.max != null || schedule.desired != null]]))",
          errorMessage: "A schedule of a pool must give min, max or desired.",
        },
        {
          condition:
            "alltrue([for pool in values(var.pools) : pool.hooks.terminate_timeout_seconds == null ? true : " +
            "min(172800, 100 * pool.hooks.terminate_timeout_seconds) >= pool.drain.deadline_seconds])",
          errorMessage: "100 times hooks.terminate_timeout_seconds of a pool must be >= its drain.deadline_seconds.",
        },
      ],
    },
  });
  const name = `${variables.product.stringValue}-${variables.deployment.stringValue}`;
  const logs = new WorkerLogs(stack, "worker_logs", {
    product: variables.product.stringValue,
    deployment: variables.deployment.stringValue,
    retentionDays: hcl("var.logs.retention_days") as unknown as number,
    kmsKeyArn: variableString(variables.encryption, "log_kms_key_arn"),
  });
  for (const group of logs.node.children as TerraformResource[]) {
    group.addOverride("log_group_class", hcl('var.logs.infrequent_access ? "INFREQUENT_ACCESS" : "STANDARD"'));
  }
  const securityGroup = workersSecurityGroup(stack, name, variables.vpc_id.stringValue);
  const grant = new EbsKeyGrant(stack, "volume_key_grant", {
    name,
    kmsKeyArn: variableString(variables.encryption, "volume_kms_key_arn"),
  });
  const key = "var.encryption.volume_kms_key_arn == null ? 0 : 1";
  (grant.node.findChild("grant") as TerraformResource).addOverride("count", hcl(key));

  for (const [name, { source, nested }] of Object.entries(POOL_MODULES)) {
    const pools = new TerraformHclModule(stack, name, {
      source: `./modules/${nested}`,
      skipAssetCreationFromLocalModules: true,
      variables: {
        name: hcl("each.key"),
        pool: hcl("each.value"),
        fleet: hcl(
          `{ ${Object.keys(moduleFleetKeys.shape)
            .map((input) => `${input} = var.${input}`)
            .join(", ")} }`,
        ),
        security_group_id: securityGroup.securityGroupId,
        log_groups: logs.groupNames,
        boots_after: hcl(BOOTS_AFTER),
      },
    });
    pools.addOverride("for_each", hcl(`{ for name, pool in var.pools : name => pool if ${takesFrom(source)} }`));
  }

  for (const [output, description] of Object.entries(OUTPUTS)) {
    declareOutput(stack, `${output}s`, {
      description,
      value: hcl(
        `merge(${Object.keys(POOL_MODULES)
          .map((name) => `{ for name, pool in module.${name} : name => pool.${output} }`)
          .join(", ")})`,
      ),
    });
  }
  declareOutput(stack, "security_group_id", {
    description: "Security group of the workers.",
    value: securityGroup.securityGroupId,
  });
  declareOutput(stack, "log_group_names", { description: "Log groups, by kind.", value: logs.groupNames });
  declareOutput(stack, "unsafe_flags", {
    description: "Protections that are given up; none in a safe fleet.",
    value: hcl(
      "concat([for flag, given_up in var.unsafe : flag if given_up != false && given_up != 1], " +
        'var.ssh == null ? [] : ["ssh_key=${var.ssh.key_name}", "ssh_from=${var.ssh.cidr}"])',
    ),
  });
  return stack;
}

/** One rule stands for all: Terraform repeats it for every entry of `var.egress`. */
function workersSecurityGroup(stack: ModuleStack, name: string, vpcId: string): WorkerSecurityGroup {
  const port = (expression: string) => hcl(expression) as unknown as number;
  const group = new WorkerSecurityGroup(stack, "security_group", {
    name,
    vpcId,
    ssh: { cidr: String(hcl("var.ssh.cidr")) },
    httpsCidrs: [String(hcl("each.value.cidr"))],
  });
  const resource = group.node.findChild("group") as TerraformResource;
  resource.addOverride("lifecycle.precondition", [
    {
      condition: hcl(`!${NEEDS_CONTROL_PLANE} || var.control_plane_url != null`),
      error_message: "control_plane_url must be given, or every pool a queue (backlog).",
    },
    {
      condition: hcl(`!${NEEDS_CONTROL_PLANE} || (var.token_secret_arn == null) != (var.token_parameter_arn == null)`),
      error_message: "Exactly one of token_secret_arn and token_parameter_arn must be given.",
    },
  ]);
  const rule = group.node.children.find(({ node }) => node.id.startsWith("egress_")) as TerraformResource;
  rule.addOverride("for_each", hcl("var.egress"));
  rule.addOverride("description", hcl("each.value.description"));
  rule.addOverride("from_port", port("each.value.from_port"));
  rule.addOverride("to_port", port("coalesce(each.value.to_port, each.value.from_port)"));
  const ssh = group.node.findChild("ssh_ingress") as TerraformResource;
  ssh.addOverride("count", hcl("var.ssh == null ? 0 : 1"));
  return group;
}

const EXAMPLE = `terraform {
  required_version = ">= 1.7"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}

provider "aws" {
  region = "us-west-2"
}

resource "aws_vpc" "workers" {
  cidr_block = "10.40.0.0/20"
}

resource "aws_subnet" "workers" {
  for_each = { us-west-2a = 0, us-west-2b = 1 }

  vpc_id            = aws_vpc.workers.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(aws_vpc.workers.cidr_block, 4, each.value)
}

module "workers" {
  source = "../.."

  deployment        = "production"
  vpc_id            = aws_vpc.workers.id
  subnet_ids        = [for subnet in aws_subnet.workers : subnet.id]
  control_plane_url = "https://control.example.com"
  token_secret_arn  = "arn:aws:secretsmanager:us-west-2:111122223333:secret:ez-cdc/token-Ab12Cd"

  daemon_release = {
    version = "1.8.0"
    sha256 = {
      x86_64 = "6dcd4ce23d88e2ee9568ba546c007c63d9131f1b5bb9d0a2b1c1f2a4c0d3e5f7"
      arm64  = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    }
  }

  pools = {
    streaming = {
      architecture   = "arm64"
      instance_types = ["c7g.large"]
      image_id       = "ami-0123456789abcdef0"
      scale_in       = { enabled = false }
      size           = { min = 1, max = 6 }
    }
    snapshot = {
      instance_types = ["m6i.large", "m5.large", "c6i.xlarge"]
      size           = { min = 0, max = 10 }
      spot           = { on_demand_base = 1 }
      drain          = { mode = "finish", deadline_seconds = 14400 }
      scale_in       = { quiet_minutes = 30, headroom_slots = 2 }
      schedules = {
        night   = { cron = "0 22 * * *", time_zone = "America/Los_Angeles", min = 2 }
        morning = { cron = "0 6 * * *", time_zone = "America/Los_Angeles", min = 0 }
      }
    }
  }
}

output "session_commands" {
  value = module.workers.session_commands
}
`;

/** A worker fleet for callers who write HCL. */
export const WORKER_FLEET_MODULE: PublishedModule = {
  name: "worker-fleet",
  summary:
    "Pools of workers that take jobs from a control plane: an Auto Scaling group for each with its launch template, role, " +
    "lifecycle hooks, scaling, alarms and dashboard, in a VPC of yours.\n\n" +
    "A document of the kind `worker-fleet` can say more than this module: pools of both architectures, boot scripts, permissions " +
    "of the jobs, proxies, tokens under a customer managed key, encrypted sessions and IPv6 egress. A network is a module of its " +
    "own in HCL, such as `terraform-aws-modules/vpc/aws`. The endpoints of a fleet without internet are the module `private-link`.",
  root,
  nested: Object.fromEntries(Object.values(POOL_MODULES).map(({ source, nested }) => [nested, poolModule(source)])),
  examples: [{ name: "two-pools", mainTf: EXAMPLE }],
};
