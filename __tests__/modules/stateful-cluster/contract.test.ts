import { moduleFiles } from "../../../modules/publish/module-files";
import { STATEFUL_CLUSTER_MODULE } from "../../../modules/stateful-cluster/published-module";

interface Variable {
  readonly type: string;
  readonly default?: unknown;
  readonly nullable: boolean;
  readonly description: string;
}

const files = new Map(moduleFiles(STATEFUL_CLUSTER_MODULE));
const json = (name: string) => JSON.parse(files.get(name) ?? "{}");
const variables: Record<string, Variable> = json("variables.tf.json").variable;
const main = json("main.tf.json");
const node = json("modules/node-module/main.tf.json");
const REQUIRED = Symbol("required");

/** Attributes of an object type by name, outermost level. */
function attributes(type: string): Map<string, string> {
  const body = type.slice(type.indexOf("object({") + "object({".length, type.lastIndexOf("})"));
  const found = new Map<string, string>();
  let depth = 0;
  let part = "";
  for (const character of `${body},`) {
    if ("({[".includes(character)) depth += 1;
    if (")}]".includes(character)) depth -= 1;
    if (character === "," && depth === 0) {
      const [name = "", ...rest] = part.split("=");
      found.set(name.trim(), rest.join("=").trim());
      part = "";
    } else part += character;
  }
  return found;
}

describe("the inputs of the former module", () => {
  test.each<[string, string, unknown]>([
    ["app_name", "string", REQUIRED],
    ["node_image", "string", REQUIRED],
    ["node_key_name", "string", null],
    ["instance_type", "string", REQUIRED],
    ["security_groups", "list(string)", REQUIRED],
    ["node_config_script", "string", null],
    ["node_config_script_s3_url", "string", null],
    [
      "root_volume",
      "object({ device_name = string, size_in_gibs = number, type = string })",
      { device_name: "/dev/xvda", size_in_gibs: 16, type: "gp3" },
    ],
    ["asg_inservice_timeout_in_mins", "number", 10],
    ["asg_lifecycle_hook_heartbeat_timeout", "number", 3600],
    ["command_timeout_seconds", "number", 1800],
    ["http_put_response_hop_limit", "number", 1],
    ["jq_download_url", "string", ""],
  ])("%s is a %s", (name, type, value) => {
    expect(variables[name]?.type).toBe(type);
    expect(variables[name] && "default" in variables[name] ? variables[name].default : REQUIRED).toEqual(value);
  });

  test.each<[string, RegExp, unknown, Record<string, string>]>([
    [
      "nodes",
      /^set\(object\(/,
      REQUIRED,
      {
        node_id: "string",
        node_ip: "string",
        node_image: "optional(string)",
        node_subnet_id: "string",
        node_data_disk: "optional(map(string), {})",
      },
    ],
    [
      "node_files",
      /^set\(object\(/,
      [],
      {
        node_id: "string",
        node_files_toupload: expect.stringMatching(
          /^optional\(list\(object\(\{ contents = string, destination = string, (\w+ = optional\(string\)(, )?)* \}\)\), \[\]\)$/,
        ),
      },
    ],
    [
      "default_data_volume",
      /^object\(/,
      REQUIRED,
      {
        device_name: 'optional(string, "/dev/sdf")',
        size_in_gibs: "number",
        type: "string",
        iops: "optional(number)",
        throughput_mib_per_sec: "optional(number)",
        mount_path: "string",
        file_system_type: "string",
        mount_params: "optional(list(string), [])",
        mount_path_owner_user: "string",
        mount_path_owner_group: "string",
        tags: "optional(map(string), {})",
      },
    ],
  ])("%s has every attribute, and what was added is optional", (name, shape, value, promised) => {
    const variable = variables[name] as Variable;
    const all = attributes(variable.type);

    expect(variable.type).toMatch(shape);
    expect("default" in variable ? variable.default : REQUIRED).toEqual(value);
    expect(Object.fromEntries([...all].filter(([key]) => key in promised))).toEqual(promised);
    expect([...all].filter(([key, type]) => !(key in promised) && !type.startsWith("optional("))).toEqual([]);
  });

  test("are the only ones that must be given", () => {
    const required = Object.keys(variables).filter((name) => !("default" in (variables[name] as Variable)));

    expect(required.sort()).toEqual(
      ["app_name", "default_data_volume", "instance_type", "node_image", "nodes", "security_groups"].sort(),
    );
  });
});

test("the module refuses what would never come to rest: no security group", () => {
  expect(json("variables.tf.json").variable.security_groups.validation).toEqual([
    {
      condition: "${length(var.security_groups) >= 1}",
      error_message: "security_groups must have at least 1 elements.",
    },
    {
      condition: '${alltrue([for item in var.security_groups : can(regex("^sg-[0-9a-f]+$", item))])}',
      error_message: "security_groups[*] must match ^sg-[0-9a-f]+$.",
    },
  ]);
});

test("the outputs of the former module are all there", () => {
  expect(Object.keys(json("outputs.tf.json").output)).toEqual(
    expect.arrayContaining(["asg_names", "node_iam_role_name", "node_id_to_node_userdata_script_map"]),
  );
});

test("Terraform and providers are asked for in ranges that the former module's users can meet", () => {
  expect(json("versions.tf.json").terraform).toMatchObject({
    required_version: ">= 1.7",
    required_providers: {
      aws: { source: "hashicorp/aws", version: ">= 5.100.0, < 7.0.0" },
      null: { source: "hashicorp/null", version: ">= 3.2.1" },
    },
  });
});

test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
  ["aws_iam_role.node_role", main, { name: "${var.app_name}-role" }],
  ["aws_iam_instance_profile.node_instance_profile", main, { name: "${var.app_name}-instance-profile" }],
  ["aws_iam_policy.node_policy", main, { name: "${var.app_name}-node-policy" }],
  [
    "aws_iam_role_policy_attachment.ssm_policy",
    main,
    { policy_arn: "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore" },
  ],
  ["aws_iam_role_policy_attachment.instance_userdata_policy", main, {}],
  [
    "aws_network_interface.node_network_interface",
    node,
    { private_ips: ["${var.node_ip}"], tags: { Name: "${var.app_name}-interface-${var.node_id}" } },
  ],
  [
    "aws_ebs_volume.node_data",
    node,
    { encrypted: true, tags: expect.stringContaining('"${var.app_name}-data-${var.node_id}"') },
  ],
  [
    "aws_launch_template.node",
    node,
    {
      name: "${var.app_name}-node-${var.node_id}",
      monitoring: { enabled: false },
      metadata_options: expect.objectContaining({ http_tokens: "required", http_protocol_ipv6: "disabled" }),
      lifecycle: expect.objectContaining({ create_before_destroy: true }),
    },
  ],
  [
    "aws_autoscaling_group.node_asg",
    node,
    {
      name: "${var.app_name}-node-${var.node_id}",
      min_size: 1,
      max_size: 1,
      metrics_granularity: "1Minute",
      initial_lifecycle_hook: [
        expect.objectContaining({ name: "${var.app_name}-node-asg-hook", default_result: "ABANDON" }),
      ],
    },
  ],
])("%s stands where it stood, under its name in AWS", (address, file, expected) => {
  const [type = "", name = ""] = address.split(".");
  const resources = file["resource"] as Record<string, Record<string, object>>;

  expect(resources[type]?.[name]).toMatchObject(expected);
});

test.each([
  ["aws_iam_policy_document.instance-assume-role-policy", main],
  ["aws_region.current", main],
  ["aws_caller_identity.current", main],
  ["aws_subnet.node_subnet", node],
  ["aws_default_tags.current", node],
])("data.%s stands where it stood", (address, file) => {
  const [type = "", name = ""] = address.split(".");

  expect(file.data[type]).toHaveProperty([name]);
});

test("each node is module.cluster_nodes[node_id]", () => {
  expect(main.module.cluster_nodes).toMatchObject({ source: "./modules/node-module", for_each: "${local.node_by_id}" });
  expect(main.locals.node_by_id).toBe("${{ for n in var.nodes : n.node_id => n }}");
});

describe("the trigger of the roll", () => {
  const trigger = main.resource.null_resource.roll_instances;
  const run = trigger.provisioner[0]["local-exec"];

  test("stands where it stood, if the caller wants applies to roll", () => {
    expect(trigger.count).toBe('${var.rolling_update.when == "apply" ? 1 : 0}');
    expect(variables["rolling_update"]?.default).toEqual({ when: "none", options: [], from_nodes: false });
  });

  test("R22: runs the module's own roller on this account, region and cluster, with the role that was given", () => {
    expect(run.interpreter).toContain('"node", "${path.module}/holdfast-roll.mjs", "run"');
    expect(run.interpreter).toContain('["--role-arn", var.rolling_update.role_arn]');
    expect(run.command).toBe("--yes");
    expect(run.environment.HOLDFAST_CLUSTER).toContain("data.aws_caller_identity.current.account_id");
    expect(run.environment.HOLDFAST_CLUSTER).toContain("data.aws_region.current");
    expect(STATEFUL_CLUSTER_MODULE.assets).toContainEqual({ from: "dist/roll.mjs", to: "holdfast-roll.mjs" });
  });

  test("runs again when what a node is launched from changes", () => {
    expect(trigger.triggers.nodes).toContain("n.roll_target");
    expect(node.output ?? json("modules/node-module/outputs.tf.json").output.roll_target.value.template).toEqual({
      id: "${aws_launch_template.node.id}",
      version: "${aws_launch_template.node.latest_version}",
    });
  });

  test("R22: every group and instance carries the tag that the manifest names, and its name, whatever tags a caller gives", () => {
    const { tag, dynamic } = node.resource.aws_autoscaling_group.node_asg;
    expect(tag).toBeUndefined();
    expect(dynamic.tag).toEqual({
      for_each:
        '${merge(data.aws_default_tags.current.tags, var.tags, {"Name" = "${var.app_name}-node-${var.node_id}", "holdfast:cluster" = var.app_name})}',
      content: { key: "${tag.key}", value: "${tag.value}", propagate_at_launch: true },
    });
    expect(run.environment.HOLDFAST_CLUSTER).toContain('"holdfast:cluster"');
  });
});
