import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeModule } from "../../modules/publish/write-module";
import { WORKER_FLEET_MODULE } from "../../modules/worker-fleet/published-module";
import type { PlannedChange } from "../../scripts/emulator/terraform";
import { useEmulatedAws } from "../support/emulator";
import { useScratch } from "../support/scratch";
import { fileIn, RELEASE_KEY, unpacked } from "../support/user-data";

const aws = useEmulatedAws();
const scratch = useScratch();

/** Of one type, what is to be created by pool. */
const byPool = (changes: readonly PlannedChange[], type: string): Record<string, Readonly<Record<string, unknown>>> =>
  Object.fromEntries(
    changes
      .filter((change) => change.type === type)
      .map(({ address, change }) => [/pool\["(\w+)"\]/.exec(address)?.[1] ?? "", change.after ?? {}]),
  );

test("the HCL example of the published worker fleet is valid and plans both of its pools, each from its own settings", async () => {
  // GIVEN
  writeModule(WORKER_FLEET_MODULE, scratch.path);
  const terraform = await aws.terraform(scratch.path, "examples/two-pools");

  // WHEN
  const { changes } = await terraform.plan();

  // THEN
  const planned = (type: string) => byPool(changes, type);
  expect(changes.every(({ change }) => change.actions.join() === "create")).toBe(true);
  expect(planned("aws_autoscaling_group")).toMatchObject({
    streaming: { name: "ez-cdc-production-streaming", min_size: 1, max_size: 6, capacity_rebalance: false },
    snapshot: {
      name: "ez-cdc-production-snapshot",
      min_size: 0,
      max_size: 10,
      capacity_rebalance: true,
      suspended_processes: ["AZRebalance"],
      mixed_instances_policy: [
        {
          instances_distribution: [{ on_demand_base_capacity: 1, on_demand_percentage_above_base_capacity: 0 }],
          launch_template: [
            {
              override: ["m6i.large", "m5.large", "c6i.xlarge"].map((instance_type) =>
                expect.objectContaining({ instance_type }),
              ),
            },
          ],
        },
      ],
    },
  });
  expect(planned("aws_launch_template")).toMatchObject({
    streaming: {
      instance_type: "c7g.large",
      image_id: "ami-0123456789abcdef0",
      metadata_options: [{ http_tokens: "required" }],
    },
    snapshot: { instance_type: "m6i.large", metadata_options: [{ http_tokens: "required" }] },
  });
  const scaleIn = changes.filter(({ change }) => /-scale-in$/.test(String(change.after?.["alarm_name"])));
  expect(scaleIn.map(({ change }) => change.after)).toMatchObject([
    { alarm_name: "ez-cdc-production-snapshot-scale-in", actions_enabled: true, evaluation_periods: 6 },
    { alarm_name: "ez-cdc-production-streaming-scale-in", actions_enabled: false, evaluation_periods: 3 },
  ]);
  const schedules = changes.filter(({ type }) => type === "aws_autoscaling_schedule");
  expect(schedules.map(({ change }) => change.after)).toMatchObject([
    { scheduled_action_name: "morning", recurrence: "0 6 * * *", min_size: 0, max_size: -1, desired_capacity: -1 },
    { scheduled_action_name: "night", recurrence: "0 22 * * *", min_size: 2, max_size: -1, desired_capacity: -1 },
  ]);
});

test("warm pools, target tracking and a key pair are there for the pools and fleets that ask, and a token may be in Parameter Store", async () => {
  // GIVEN
  writeModule(WORKER_FLEET_MODULE, join(scratch.path, "module"));
  scratch.write("root/main.tf", readFileSync(join(__dirname, "../fixtures/worker-fleet-caller.tf"), "utf8"));
  const terraform = await aws.terraform(scratch.path, "root");

  // WHEN
  const { changes } = await terraform.plan();

  // THEN
  const groups = byPool(changes, "aws_autoscaling_group");
  expect(groups).toMatchObject({
    prepared: {
      launch_template: [{}],
      warm_pool: [{ min_size: 2, pool_state: "Running", instance_reuse_policy: [{ reuse_on_scale_in: false }] }],
      enabled_metrics: expect.arrayContaining(["GroupInServiceInstances", "WarmPoolWarmedCapacity"]),
    },
    plain: { mixed_instances_policy: [{}], warm_pool: [] },
  });
  expect(groups["prepared"]).not.toHaveProperty("mixed_instances_policy");
  expect(groups["plain"]).not.toHaveProperty("launch_template");
  expect(groups["plain"]?.["enabled_metrics"]).not.toContain("WarmPoolWarmedCapacity");
  const tracking = changes.filter(({ change }) => change.after?.["policy_type"] === "TargetTrackingScaling");
  expect(tracking.map(({ change }) => change.after)).toMatchObject([
    {
      autoscaling_group_name: "ez-cdc-options-prepared",
      target_tracking_configuration: [{ target_value: 80, disable_scale_in: true }],
    },
  ]);
  expect(byPool(changes, "aws_launch_template")).toMatchObject({
    prepared: { key_name: "operators", hibernation_options: [] },
    asleep: { hibernation_options: [{ configured: true }] },
    plain: { key_name: "operators", hibernation_options: [] },
  });
  const ingress = changes.filter(({ type }) => type === "aws_vpc_security_group_ingress_rule");
  expect(ingress.map(({ change }) => change.after)).toMatchObject([
    { from_port: 22, to_port: 22, cidr_ipv4: "10.0.0.0/24" },
  ]);
});

test("pools with queues apply and converge without a control plane: each with its own statements, its own alarms and what its agents read", async () => {
  // GIVEN
  writeModule(WORKER_FLEET_MODULE, join(scratch.path, "module"));
  scratch.write("root/main.tf", readFileSync(join(__dirname, "../fixtures/queue-fleet-caller.tf"), "utf8"));
  const terraform = await aws.terraform(scratch.path, "root");

  // WHEN
  const { changes } = await terraform.plan();
  await terraform.apply("holdfast.tfplan");

  // THEN
  expect((await terraform.plan()).changes).toEqual([]);
  const outputs = await terraform.outputs();
  expect(outputs["groups"]).toEqual({ plain: "ez-cdc-queues-plain", sealed: "ez-cdc-queues-sealed" });
  const statements = (pool: string) =>
    Object.fromEntries(
      (outputs["statements"] as Record<string, { Sid: string }[]>)[pool]?.map(({ Sid, ...statement }) => [
        Sid,
        statement,
      ]) ?? [],
    );
  const sealed = statements("sealed");
  expect(sealed).toMatchObject({
    WorkOwnQueue: { Resource: ["arn:aws:sqs:us-west-2:111122223333:sealed"] },
    ReadJobSecrets: {
      Action: ["secretsmanager:GetSecretValue"],
      Resource: [
        "arn:aws:secretsmanager:us-west-2:111122223333:secret:orders-Ab12Cd",
        "arn:aws:secretsmanager:us-west-2:111122223333:secret:copies/*",
      ],
    },
    DecryptQueue: { Resource: ["arn:aws:kms:us-west-2:111122223333:key/5b1c3d9e-2f64-4e7b-8a10-3c2d1e0f9a02"] },
    ReadReleases: {
      Resource: ["arn:aws:s3:::ez-cdc-releases/worker-agent/*", "arn:aws:s3:::ez-cdc-releases/dbmazz/*"],
    },
    TagOwnInstance: {
      Condition: { ArnEquals: { "ec2:SourceInstanceARN": expect.stringContaining("instance/${ec2:InstanceID}") } },
    },
  });
  expect(sealed).not.toHaveProperty("ReadToken");
  const { ReadJobSecrets, DecryptQueue, ...common } = sealed;
  expect(Object.keys(statements("plain"))).toEqual(Object.keys(common));

  const templates = byPool(changes, "aws_launch_template");
  const config = (pool: string) =>
    JSON.parse(fileIn(unpacked(String(templates[pool]?.["user_data"])), "/etc/holdfast/worker.json"));
  expect(config("sealed")).toMatchObject({
    queue: { arn: "arn:aws:sqs:us-west-2:111122223333:sealed", visibilitySeconds: 120 },
    maxJobAgeSeconds: 86_400,
    retainOnFailedDrain: true,
    upgrade: { releaseKey: RELEASE_KEY, gateSeconds: 60 },
  });
  expect(config("plain")).toMatchObject({ maxJobAgeSeconds: null, retainOnFailedDrain: false });
  expect(config("plain")).not.toHaveProperty("controlPlaneUrl");
  const alarms = JSON.stringify(
    changes.filter(({ change }) => /-scale-out$/.test(String(change.after?.["alarm_name"]))),
  );
  expect(alarms).toContain('"QueueName":"plain"');
  expect(alarms).toContain("CEIL(backlog / 12)");

  // WHEN a rule of their security group is given other words
  const reworded = await terraform.plan("-var", "https=HTTPS to AWS");

  // THEN that is all, and the plan still knows everything of the pools
  expect(reworded.changes.map(({ address }) => address)).toEqual([
    'module.queues.aws_vpc_security_group_egress_rule.egress["https"]',
  ]);
});
