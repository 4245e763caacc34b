import type { TerraformStack } from "cdktf";
import { instanceRefresh } from "../../../modules/worker-fleet/instance-refresh";
import { lifecycleHooks } from "../../../modules/worker-fleet/lifecycle-hooks";
import { PoolInstances, type PoolInstancesProps } from "../../../modules/worker-fleet/pool-instances";
import { awsStack, SynthesizedStack } from "../../support/synthesized-stack";

const DEFAULTS: PoolInstancesProps = {
  name: "ez-cdc-test-cdc",
  size: { min: 1, max: 4 },
  subnetIds: ["subnet-a", "subnet-b"],
  instanceTypes: ["c7g.large"],
  instanceProfileArn: "arn:aws:iam::111122223333:instance-profile/cdc",
  securityGroupIds: ["sg-1"],
  userData: { base64: "IyEvYmluL2Jhc2gK", sizeCheck: undefined },
  rootVolume: { sizeGiB: 20 },
  hooks: lifecycleHooks({ launchTimeoutSeconds: 600, drainDeadlineSeconds: 3600 }),
  drainMode: "handoff",
  rollbackAlarmNames: ["cdc-no-heartbeat"],
  tags: { Name: "ez-cdc-test-cdc", Deployment: "test" },
};

function pool(props: Partial<PoolInstancesProps> = {}): SynthesizedStack {
  return new SynthesizedStack(stackOf(props));
}

function stackOf(props: Partial<PoolInstancesProps>): TerraformStack {
  const stack = awsStack();
  new PoolInstances(stack, "cdc", { ...DEFAULTS, ...props });
  return stack;
}

const group = (props: Partial<PoolInstancesProps> = {}) => pool(props).only("aws_autoscaling_group");
const template = (props: Partial<PoolInstancesProps> = {}) => pool(props).only("aws_launch_template");

function warnings(props: Partial<PoolInstancesProps>): string[] {
  return stackOf(props)
    .node.findAll()
    .flatMap((construct) => construct.node.metadata)
    .filter(({ type }) => type === "@cdktf/warn")
    .map(({ data }) => String(data));
}

const SPOT = { spot: {}, instanceTypes: ["c7g.large", "m7g.large", "c6g.large"] };

describe("defect 3: launch template version", () => {
  test("R5: a group names the number of its template's newest version", () => {
    expect(group().launch_template).toEqual({
      id: expect.stringMatching(/^\$\{aws_launch_template\.[^.]+\.id\}$/),
      version: expect.stringMatching(/^\$\{aws_launch_template\.[^.]+\.latest_version\}$/),
    });
  });

  test("R5: so does every template of a mixed instances policy", () => {
    const policy = JSON.stringify(group({ ...SPOT, instanceTypes: ["c7g.large", "c6i.large"] }).mixed_instances_policy);
    expect(policy.match(/latest_version/g)).toHaveLength(2);
    expect(policy).not.toMatch(/\$Latest|\$Default/);
  });

  test("R5: user data is an argument of the template whose version the group names", () => {
    const changed = pool({ userData: { base64: "Y2hhbmdlZAo=", sizeCheck: undefined } });
    const [name, after] = Object.entries(changed.resources("aws_launch_template"))[0] ?? [];
    expect(after).toEqual({ ...template(), user_data: "Y2hhbmdlZAo=" });
    expect(changed.only("aws_autoscaling_group").launch_template.version).toBe(
      `\${aws_launch_template.${name}.latest_version}`,
    );
  });
});

describe("instance refresh", () => {
  const COMPLETE = {
    strategy: "Rolling",
    preferences: {
      min_healthy_percentage: 50,
      max_healthy_percentage: 150,
      instance_warmup: "120",
      skip_matching: true,
      scale_in_protected_instances: "Refresh",
      standby_instances: "Terminate",
      auto_rollback: true,
      alarm_specification: { alarms: ["cdc-no-heartbeat"] },
    },
  };

  test("R6: is complete", () => {
    expect(group().instance_refresh).toEqual(COMPLETE);
  });

  test("R6: takes its bounds, warmup and checkpoints", () => {
    const refresh = {
      minHealthyPercent: 90,
      maxHealthyPercent: 110,
      warmupSeconds: 30,
      checkpointPercents: [10, 100],
      checkpointDelaySeconds: 600,
    };
    expect(group({ refresh, rollbackAlarmNames: ["a", "b"] }).instance_refresh.preferences).toEqual({
      ...COMPLETE.preferences,
      min_healthy_percentage: 90,
      max_healthy_percentage: 110,
      instance_warmup: "30",
      checkpoint_percentages: [10, 100],
      checkpoint_delay: "600",
      alarm_specification: { alarms: ["a", "b"] },
    });
  });

  test("R6: is refused without an alarm to roll back on", () => {
    expect(() => instanceRefresh({}, [])).toThrow("needs at least one rollback alarm");
  });
});

describe("defect 7: lifecycle hooks", () => {
  test("R7: stand in the group and as resources, with equal values", () => {
    const synthesized = pool();
    const own = Object.values(synthesized.resources("aws_autoscaling_lifecycle_hook")).map(
      ({ autoscaling_group_name: _group, ...hook }) => hook,
    );
    expect(synthesized.only("aws_autoscaling_group").initial_lifecycle_hook).toEqual(expect.arrayContaining(own));
    expect(own).toEqual(
      expect.arrayContaining([
        {
          name: "launch",
          lifecycle_transition: "autoscaling:EC2_INSTANCE_LAUNCHING",
          heartbeat_timeout: 600,
          default_result: "ABANDON",
        },
        {
          name: "terminate",
          lifecycle_transition: "autoscaling:EC2_INSTANCE_TERMINATING",
          heartbeat_timeout: 300,
          default_result: "CONTINUE",
        },
      ]),
    );
    expect(own).toHaveLength(2);
  });
});

describe("desired capacity", () => {
  test.each([
    { min: 0, max: 4 },
    { min: 1, max: 4 },
  ])("R8: is not set for $min to $max, and never managed", (size) => {
    expect(group({ size })).not.toHaveProperty("desired_capacity");
    expect(group({ size }).lifecycle).toEqual({ ignore_changes: ["desired_capacity"] });
  });

  test("R8: an initial size is one for creation only", () => {
    expect(group({ size: { min: 0, max: 4, initial: 2 } })).toMatchObject({
      desired_capacity: 2,
      lifecycle: { ignore_changes: ["desired_capacity"] },
    });
  });

  test("sizes that contradict each other are refused with both values", () => {
    expect(() => pool({ size: { min: 5, max: 3 } })).toThrow("minimum size (5) should be <= maximum size (3)");
    expect(() => pool({ size: { min: 1, max: 3, initial: 4 } })).toThrow("initial size (4) should be from 1 to 3");
  });
});

describe("hardening", () => {
  test("R13: tokens for metadata, one hop, encrypted volume, no public address, no key pair", () => {
    expect(template()).toMatchObject({
      metadata_options: { http_endpoint: "enabled", http_tokens: "required", http_put_response_hop_limit: 1 },
      block_device_mappings: [{ device_name: "/dev/xvda", ebs: { encrypted: "true", volume_type: "gp3" } }],
      network_interfaces: [{ associate_public_ip_address: "false" }],
    });
    expect(template()).not.toHaveProperty("key_name");
  });

  test("R13: a customer managed key encrypts the root volume", () => {
    const kmsKeyArn = "arn:aws:kms:us-west-2:111122223333:key/1";
    const [device] = template({ rootVolume: { sizeGiB: 20, kmsKeyArn } }).block_device_mappings;
    expect(device.ebs).toMatchObject({ encrypted: "true", kms_key_id: kmsKeyArn });
  });

  test("R13: each protection is given up by its own unsafe option", () => {
    expect(template({ unsafe: { imdsv1: true } }).metadata_options).toMatchObject({
      http_tokens: "optional",
      http_put_response_hop_limit: 1,
    });
    expect(template({ unsafe: { imdsHopLimit: 2 } }).metadata_options).toMatchObject({
      http_tokens: "required",
      http_put_response_hop_limit: 2,
    });
    expect(template({ unsafe: { unencryptedRootVolume: true } }).block_device_mappings[0].ebs.encrypted).toBe("false");
  });
});

describe("defect 6: architectures", () => {
  test("R14: the image follows the instance type", () => {
    const names = (instanceTypes: string[]) =>
      Object.values(pool({ instanceTypes }).dataSources("aws_ssm_parameter")).map(({ name }) => name);
    expect(names(["c7g.large"])).toEqual(["/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"]);
    expect(names(["c6i.large"])).toEqual(["/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"]);
  });

  test("R14: a mixed pool has a template for each architecture and an override for each type", () => {
    const synthesized = pool({ instanceTypes: ["c7g.large", "c6i.large", "m7g.large"] });
    const templates = Object.entries(synthesized.resources("aws_launch_template"));
    const nameOf = (type: string) => templates.find(([, { instance_type }]) => instance_type === type)?.[0];
    const policy = synthesized.only("aws_autoscaling_group").mixed_instances_policy.launch_template;

    expect(templates).toHaveLength(2);
    expect(policy.launch_template_specification.launch_template_id).toBe(
      `\${aws_launch_template.${nameOf("c7g.large")}.id}`,
    );
    expect(policy.override).toEqual([
      { instance_type: "c7g.large" },
      {
        instance_type: "c6i.large",
        launch_template_specification: {
          launch_template_id: `\${aws_launch_template.${nameOf("c6i.large")}.id}`,
          version: `\${aws_launch_template.${nameOf("c6i.large")}.latest_version}`,
        },
      },
      { instance_type: "m7g.large" },
    ]);
  });

  test("R14: own images cover the architecture of every type, and no other", () => {
    expect(() => pool({ instanceTypes: ["c6i.large", "c7g.large"], images: { x86_64: "ami-1" } })).toThrow(
      "c7g.large runs arm64, and there is no arm64 image",
    );
    expect(() => pool({ instanceTypes: ["c6i.large"], images: { x86_64: "ami-1", arm64: "ami-2" } })).toThrow(
      "there is an arm64 image, and none of c6i.large runs arm64",
    );
    expect(template({ instanceTypes: ["c6i.large"], images: { x86_64: "ami-1" } }).image_id).toBe("ami-1");
  });

  test("R14: the image is fixed by the plan and not by each launch", () => {
    expect(template().image_id).toMatch(/^\$\{data\.aws_ssm_parameter\.[^.]+\.insecure_value\}$/);
  });
});

describe("defect 11: spot", () => {
  test("R15: buys by price and capacity, and replaces what is about to be taken back", () => {
    const synthesized = pool(SPOT);
    expect(synthesized.only("aws_autoscaling_group")).toMatchObject({
      capacity_rebalance: true,
      mixed_instances_policy: {
        instances_distribution: {
          on_demand_base_capacity: 0,
          on_demand_percentage_above_base_capacity: 0,
          spot_allocation_strategy: "price-capacity-optimized",
        },
      },
    });
    expect(synthesized.only("aws_launch_template")).not.toHaveProperty("instance_market_options");
    expect(JSON.stringify(synthesized.json)).not.toContain("spot_max_price");
  });

  test("R15: warns of too few types and of one subnet", () => {
    expect(warnings(SPOT)).toEqual([]);
    expect(warnings({ ...SPOT, instanceTypes: ["c7g.large", "m7g.large"] })).toEqual([
      expect.stringContaining("Spot with 2 instance types (c7g.large, m7g.large)"),
    ]);
    expect(warnings({ ...SPOT, subnetIds: ["subnet-a"] })).toEqual([expect.stringContaining("Spot in 1 subnet")]);
    expect(warnings({ instanceTypes: ["c7g.large"], subnetIds: ["subnet-a"] })).toEqual([]);
  });

  test("R15: several On-Demand types are no Spot pool", () => {
    const { capacity_rebalance, mixed_instances_policy } = group({ instanceTypes: ["c7g.large", "m7g.large"] });
    expect(capacity_rebalance).toBeUndefined();
    expect(mixed_instances_policy.instances_distribution).toMatchObject({
      on_demand_allocation_strategy: "prioritized",
      on_demand_percentage_above_base_capacity: 100,
    });
  });

  test("a warm pool beside Spot or several types is refused", () => {
    expect(() => pool({ ...SPOT, warmPool: {} })).toThrow(
      "a warm pool needs one On-Demand instance type (spot is set)",
    );
    expect(() => pool({ instanceTypes: ["c7g.large", "m7g.large"], warmPool: {} })).toThrow("(c7g.large, m7g.large)");
  });
});

describe("group", () => {
  test("R20: is destroyed with its instances and its warm pool, without a manual step", () => {
    expect(group({ warmPool: { minSize: 1 } })).toMatchObject({ force_delete: true, force_delete_warm_pool: true });
    expect(group()).not.toHaveProperty("protect_from_scale_in");
    expect(group({ drainMode: "finish" }).suspended_processes).not.toContain("Terminate");
  });

  test("a pool that finishes its jobs is not rebalanced between zones", () => {
    expect(group({ drainMode: "finish" }).suspended_processes).toEqual(["AZRebalance"]);
    expect(group({ drainMode: "handoff" })).not.toHaveProperty("suspended_processes");
  });

  test("EC2 checks its health, after a grace", () => {
    expect(group()).toMatchObject({ health_check_type: "EC2", health_check_grace_period: 60 });
    expect(group({ healthCheckGraceSeconds: 0 }).health_check_grace_period).toBe(0);
  });

  test("replacements are in service before their predecessors go", () => {
    expect(group().instance_maintenance_policy).toEqual({ min_healthy_percentage: 100, max_healthy_percentage: 110 });
  });

  test("every tag reaches the instances, and the template's volumes and interfaces", () => {
    expect(group().tag).toEqual([
      { key: "Deployment", value: "test", propagate_at_launch: true },
      { key: "Name", value: "ez-cdc-test-cdc", propagate_at_launch: true },
    ]);
    expect(template().tag_specifications).toEqual([
      { resource_type: "volume", tags: DEFAULTS.tags },
      { resource_type: "network-interface", tags: DEFAULTS.tags },
    ]);
  });

  test("a warm pool is part of the group", () => {
    expect(
      group({ warmPool: { minSize: 2, maxPreparedCapacity: 6, state: "Hibernated", reuseOnScaleIn: true } }),
    ).toMatchObject({
      warm_pool: {
        min_size: 2,
        max_group_prepared_capacity: 6,
        pool_state: "Hibernated",
        instance_reuse_policy: { reuse_on_scale_in: true },
      },
      enabled_metrics: expect.arrayContaining(["WarmPoolWarmedCapacity"]),
    });
  });

  test("instances that wait in hibernation are launched so that they can be, and others are not", () => {
    expect(template({ warmPool: { state: "Hibernated" } }).hibernation_options).toEqual({ configured: true });
    expect(template({ warmPool: { state: "Stopped" } })).not.toHaveProperty("hibernation_options");
    expect(template()).not.toHaveProperty("hibernation_options");
  });

  test("a schedule changes what it names and leaves the rest", () => {
    const schedules = { night: { cron: "0 20 * * 1-5", timeZone: "Europe/Berlin", min: 0 } };
    expect(pool({ schedules }).only("aws_autoscaling_schedule")).toMatchObject({
      scheduled_action_name: "night",
      recurrence: "0 20 * * 1-5",
      time_zone: "Europe/Berlin",
      min_size: 0,
      max_size: -1,
      desired_capacity: -1,
    });
  });

  test("a maximum age is in seconds", () => {
    expect(group({ maxInstanceLifetimeSeconds: 604_800 }).max_instance_lifetime).toBe(604_800);
    expect(group()).not.toHaveProperty("max_instance_lifetime");
  });
});
