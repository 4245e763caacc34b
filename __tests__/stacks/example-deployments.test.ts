import { readFileSync } from "node:fs";
import { join } from "node:path";
import { deploymentFiles, readDeployments } from "../../stacks/deployments";
import { KINDS } from "../../stacks/kinds";
import { synthesize } from "../../stacks/synthesize";
import { lintIam } from "../support/iam-linter";
import { useScratch } from "../support/scratch";
import type { Block } from "../support/synthesized-stack";

const EXAMPLES = deploymentFiles(join(__dirname, "../../deployments"));
const FLEETS = EXAMPLES.filter((file) => /ez-cdc|content-backup/.test(file));
const scratch = useScratch();

/** Terraform JSON of every worker fleet in `deployments/`, by name. */
function exampleFleets(): [string, Block][] {
  const stacks = synthesize(readDeployments(FLEETS, KINDS), scratch.path);
  return stacks.map(({ name, path }) => [name, JSON.parse(readFileSync(join(scratch.path, path), "utf8"))]);
}

const all = (stack: Block, type: string): Block[] => Object.values(stack["resource"][type] ?? {});

/** One line for each rule that something in a fleet breaks. */
function broken(stack: Block): string[] {
  const groups = all(stack, "aws_autoscaling_group");
  const templates = all(stack, "aws_launch_template");
  const hooks = all(stack, "aws_autoscaling_lifecycle_hook");
  return [
    ...groups.flatMap((group) => rulesOfGroup(group, hooks)),
    ...templates.flatMap(rulesOfTemplate),
    ...lintIam(stack).map((line) => `R11: ${line}`),
  ];
}

type Rule = readonly [name: string, holds: boolean];

const brokenRules = (owner: string, rules: readonly Rule[]) =>
  rules.filter(([, holds]) => !holds).map(([name]) => `${owner}: ${name}`);

function rulesOfGroup(group: Block, hooks: readonly Block[]): string[] {
  const refresh = group["instance_refresh"]?.preferences ?? {};
  const versions = JSON.stringify([group["launch_template"], group["mixed_instances_policy"]]);
  const own = hooks.filter(({ autoscaling_group_name: name }) => String(name).includes(poolOf(group)));
  return brokenRules(group["name"], [
    [
      "R5: a numeric template version (defect 3)",
      /\.latest_version\}/.test(versions) && !/\$(Latest|Default)/.test(versions),
    ],
    ["R6: protected instances are refreshed", refresh.scale_in_protected_instances === "Refresh"],
    ["R6: rolls back on an alarm", refresh.auto_rollback === true && refresh.alarm_specification?.alarms.length > 0],
    ["R6: skips what matches", refresh.skip_matching === true],
    [
      "R6: bounds and warmup",
      ["min_healthy_percentage", "max_healthy_percentage", "instance_warmup"].every((key) => key in refresh),
    ],
    ["R7: both initial hooks (defect 7)", group["initial_lifecycle_hook"]?.length === 2],
    ["R7: both hooks as resources", own.length === 2],
    ["R8: desired capacity is left alone", group["lifecycle"]?.ignore_changes.includes("desired_capacity")],
    ["R15: Spot by price and capacity (defect 11)", spotIsDiverse(group)],
    ["R20: destroyed without a manual step", group["force_delete"] === true && group["protect_from_scale_in"] !== true],
  ]);
}

/** Part of the address of everything in the group's pool. */
const poolOf = (group: Block) => `fleet_pools_${String(group["name"]).split("-").at(-1)}_`;

function spotIsDiverse(group: Block): boolean {
  const policy = group["mixed_instances_policy"];
  const percentage = policy?.instances_distribution.on_demand_percentage_above_base_capacity ?? 100;
  return (
    percentage === 100 ||
    (group["capacity_rebalance"] === true &&
      policy.instances_distribution.spot_allocation_strategy === "price-capacity-optimized" &&
      policy.launch_template.override.length >= 3)
  );
}

function rulesOfTemplate(template: Block): string[] {
  const { http_tokens, http_put_response_hop_limit } = template["metadata_options"];
  return brokenRules(template["name"], [
    ["R13: metadata tokens, one hop (defect 1)", http_tokens === "required" && http_put_response_hop_limit === 1],
    ["R13: encrypted volume", template["block_device_mappings"][0].ebs.encrypted === "true"],
    ["R13: no public address", template["network_interfaces"][0].associate_public_ip_address === "false"],
    ["R13: no key pair", !("key_name" in template)],
    ["R14: an image of its architecture (defect 6)", /^\$\{data\.aws_ssm_parameter\.|^ami-/.test(template["image_id"])],
    ["R15: no market options (defect 11)", !("instance_market_options" in template)],
  ]);
}

test("R5, R6, R7, R8, R11, R13, R14, R15 and R20 hold for every example fleet", () => {
  const fleets = exampleFleets();
  expect(fleets.map(([name]) => name).sort()).toEqual(["content-backup", "production"]);
  expect(fleets.flatMap(([name, stack]) => broken(stack).map((line) => `${name}: ${line}`))).toEqual([]);
});

test("the rules see what breaks them", () => {
  const [, stack] = exampleFleets()[0] ?? ["", {}];
  for (const group of all(stack, "aws_autoscaling_group")) {
    group["launch_template"] = { version: "$Latest" };
    group["mixed_instances_policy"] = undefined;
    group["instance_refresh"] = { preferences: { min_healthy_percentage: 50 } };
    group["force_delete"] = false;
    group["lifecycle"] = undefined;
    group["initial_lifecycle_hook"] = undefined;
  }
  for (const template of all(stack, "aws_launch_template")) {
    template["metadata_options"].http_tokens = "optional";
    template["instance_market_options"] = { market_type: "spot" };
    template["image_id"] = "latest";
  }
  for (const policy of all(stack, "aws_iam_policy")) {
    policy["policy"] = String(policy["policy"]).replace("autoscaling:SetInstanceHealth", "autoscaling:*");
  }
  const rules = new Set(broken(stack).map((line) => line.replace(/^(?:[^:]+: )?(R\d+):.*/, "$1")));
  expect([...rules].sort()).toEqual(["R11", "R13", "R14", "R15", "R20", "R5", "R6", "R7", "R8"]);
});

test("every content type has a pool, which finishes its jobs and grows by its queue", () => {
  const [, stack] = exampleFleets().find(([name]) => name === "content-backup") ?? ["", {}];
  const types = ["backup", "calendars", "docs", "export", "mail", "restore", "sites"];
  const alarms = JSON.stringify(stack["resource"]["aws_cloudwatch_metric_alarm"]);

  expect(
    all(stack, "aws_autoscaling_group")
      .map(({ name }) => name)
      .sort(),
  ).toEqual(types.map((type) => `ez-cdc-content-backup-${type}`));
  for (const { suspended_processes } of all(stack, "aws_autoscaling_group")) {
    expect(suspended_processes).toEqual(["AZRebalance"]);
  }
  for (const type of types) {
    expect(alarms).toContain(`"QueueName":"content-backup-${type}"`);
  }
});

test("the first line of an example tells editors its schema", () => {
  const firstLines = EXAMPLES.map((file) => readFileSync(file, "utf8").split("\n")[0]);

  expect(firstLines).toHaveLength(3);
  expect(new Set(firstLines)).toEqual(new Set(["# yaml-language-server: $schema=../docs/schema/deployment.json"]));
});
