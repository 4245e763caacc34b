import { moduleFiles } from "../../../modules/publish/module-files";
import { WORKER_FLEET_MODULE } from "../../../modules/worker-fleet/published-module";
import type { Block } from "../../support/synthesized-stack";

const files = moduleFiles(WORKER_FLEET_MODULE);
const json = (name: string): Block => JSON.parse(files.get(name) ?? "{}");
const pool = json("modules/worker-pool/main.tf.json")["resource"];

test("the module promises its addresses", () => {
  const named = (type: string) => Object.keys(pool[type]);

  expect(named("aws_autoscaling_group")).toEqual(["workers"]);
  expect(named("aws_launch_template")).toEqual(["worker"]);
  expect(named("aws_autoscaling_lifecycle_hook").sort()).toEqual(["launch", "terminate"]);
  expect(named("aws_iam_role")).toEqual(["worker"]);
  expect(json("main.tf.json")["module"].pool).toMatchObject({
    for_each: "${var.pools}",
    source: "./modules/worker-pool",
  });
});

test("R5, R6, R7, R8 and R20 hold in the module too", () => {
  const group = pool.aws_autoscaling_group.workers;
  const { launch, terminate } = pool.aws_autoscaling_lifecycle_hook;

  expect(group).toMatchObject({
    force_delete: true,
    lifecycle: { ignore_changes: ["desired_capacity"] },
    mixed_instances_policy: {
      launch_template: {
        launch_template_specification: { version: "${aws_launch_template.worker.latest_version}" },
        dynamic: { override: { for_each: "${var.pool.instance_types}" } },
      },
    },
    instance_refresh: {
      preferences: { auto_rollback: true, skip_matching: true, scale_in_protected_instances: "Refresh" },
    },
  });
  expect(group.mixed_instances_policy.launch_template).not.toHaveProperty("override");
  expect(group.initial_lifecycle_hook.map(({ heartbeat_timeout }: Block) => heartbeat_timeout)).toEqual([
    launch.heartbeat_timeout,
    terminate.heartbeat_timeout,
  ]);
});

test("R13: what is unsafe is asked for by the caller", () => {
  expect(pool.aws_launch_template.worker).toMatchObject({
    metadata_options: { http_tokens: '${var.fleet.unsafe.imdsv1 ? "optional" : "required"}' },
    network_interfaces: [{ associate_public_ip_address: "false" }],
  });
  expect(pool.aws_launch_template.worker).not.toHaveProperty("key_name");
});

test("user data that only Terraform knows is measured by Terraform", () => {
  const [{ condition }] = pool.aws_launch_template.worker.lifecycle.precondition;
  expect(condition).toMatch(/<= 16384\}$/);
});

test("its README tells what a document can say and it cannot", () => {
  expect(files.get("README.md")).toContain("can say more than this module: SQS backlogs");
});

test("one scale-in alarm and one schedule stand for what each pool's settings say", () => {
  const alarms: Block[] = Object.values(pool.aws_cloudwatch_metric_alarm);
  const scaleIn = alarms.find(({ alarm_name }) => alarm_name.endsWith("-scale-in"));

  expect(scaleIn).toMatchObject({
    actions_enabled: "${var.pool.scale_in.enabled}",
    evaluation_periods: "${var.pool.scale_in.quiet_minutes * 60 / 300}",
  });
  expect(Object.values(pool.aws_autoscaling_schedule)).toEqual([
    expect.objectContaining({ for_each: "${var.pool.schedules}", min_size: "${coalesce(each.value.min, -1)}" }),
  ]);
});
