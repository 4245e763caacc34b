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
    for_each: '${{ for name, pool in var.pools : name => pool if pool.backlog.source == "control-plane" }}',
    source: "./modules/worker-pool",
  });
  expect(json("main.tf.json")["module"].queue_pool).toMatchObject({
    for_each: '${{ for name, pool in var.pools : name => pool if pool.backlog.source == "sqs" }}',
    source: "./modules/queue-pool",
  });
});

test("R5, R6, R7, R8 and R20 hold in the module too", () => {
  const group = pool.aws_autoscaling_group.workers;
  const { launch, terminate } = pool.aws_autoscaling_lifecycle_hook;

  expect(group).toMatchObject({
    force_delete: true,
    lifecycle: { ignore_changes: ["desired_capacity"] },
    dynamic: {
      mixed_instances_policy: {
        content: {
          launch_template: {
            launch_template_specification: { version: "${aws_launch_template.worker.latest_version}" },
            dynamic: { override: { content: { instance_type: "${override.value}" } } },
          },
        },
      },
      launch_template: { content: { version: "${aws_launch_template.worker.latest_version}" } },
    },
    instance_refresh: {
      preferences: { auto_rollback: true, skip_matching: true, scale_in_protected_instances: "Refresh" },
    },
  });
  expect(group).not.toHaveProperty("mixed_instances_policy");
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
  expect(pool.aws_launch_template.worker.key_name).toBe("${var.fleet.ssh == null ? null : var.fleet.ssh.key_name}");
  const { ssh } = json("main.tf.json")["resource"].aws_vpc_security_group_ingress_rule;
  expect(ssh).toMatchObject({ count: "${var.ssh == null ? 0 : 1}", from_port: 22, to_port: 22 });
});

test("user data that only Terraform knows is measured by Terraform", () => {
  const [{ condition }] = pool.aws_launch_template.worker.lifecycle.precondition;
  expect(condition).toMatch(/<= 16384\}$/);
});

test("its README tells what a document can say and it cannot", () => {
  expect(files.get("README.md")).toContain("can say more than this module: pools of both architectures");
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

test("the token is read from the one place that the caller names, and a caller who names none or both is refused", () => {
  const { Statement } = JSON.parse(
    pool.aws_iam_policy.worker.policy.replace(/\$\{.*?\}/g, (it: string) => it.replaceAll('"', "'")),
  );

  expect(Statement.find(({ Sid }: Block) => Sid === "ReadToken")).toEqual({
    Sid: "ReadToken",
    Effect: "Allow",
    Action: ["secretsmanager:GetSecretValue", "ssm:GetParameter"],
    Resource: [expect.stringMatching(/^\$\{coalesce\(var\.fleet\.token_secret_arn, .*var\.fleet\.token_parameter_arn/)],
  });
  expect(json("main.tf.json")["resource"].aws_security_group.workers.lifecycle).toMatchObject({
    create_before_destroy: true,
    precondition: [
      { condition: expect.stringContaining("|| var.control_plane_url != null") },
      { condition: expect.stringContaining("|| (var.token_secret_arn == null) != (var.token_parameter_arn == null)") },
    ],
  });
});

test("what AWS refuses or nobody should ask for is refused before anything is planned", () => {
  const variables = json("variables.tf.json")["variable"];
  const messages = (name: string) => variables[name].validation.map(({ error_message }: Block) => error_message);

  expect(messages("pools")).toContain(
    "A pool with a warm_pool must have one instance type and no spot: AWS refuses it beside others.",
  );
  expect(messages("pools")).toContain(
    "A pool whose backlog.source is sqs must give backlog.queue_arn, and no other pool may.",
  );
  expect(messages("ssh")).toContain(
    "ssh.cidr must not open port 22 to everyone; name the block of a bastion or a VPN.",
  );
});
