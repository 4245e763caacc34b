import { join } from "node:path";
import { AutoscalingGroup } from "@cdktf/provider-aws/lib/autoscaling-group";
import { LaunchTemplate } from "@cdktf/provider-aws/lib/launch-template";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { SqsQueue } from "@cdktf/provider-aws/lib/sqs-queue";
import { App, LocalBackend, TerraformOutput, TerraformStack, TerraformVariable } from "cdktf";
import { PoolScaling } from "../../../modules/pool-scaling/pool-scaling";
import { variableNumber } from "../../../modules/publish/expressions";
import { AWS_PROVIDER } from "../../../modules/publish/module-stack";
import { GROUP_METRICS } from "../../../modules/worker-observability/aws-metrics";
import { PoolAlarms } from "../../../modules/worker-observability/pool-alarms";
import { PoolDashboard } from "../../../modules/worker-observability/pool-dashboard";
import { WorkerLogs } from "../../../modules/worker-observability/worker-logs";
import { useEmulatedAws } from "../../support/emulator";
import { useScratch } from "../../support/scratch";

const aws = useEmulatedAws();
const scratch = useScratch();

/** Two pools as a deployment has them: one by its queue, one by the control plane and with everything that is optional. */
function deployment(outdir: string): string {
  const app = new App({ outdir, stackTraces: false });
  const stack = new TerraformStack(app, "signals");
  new AwsProvider(stack, "aws", { region: "us-west-2" });
  new LocalBackend(stack, { path: "terraform.tfstate" });
  stack.addOverride("terraform.required_providers.aws", { source: AWS_PROVIDER.source, version: AWS_PROVIDER.version });
  const jobs = new TerraformVariable(stack, "jobs", { type: "number", default: 40 });
  const template = new LaunchTemplate(stack, "template", { imageId: "ami-12c6146b", instanceType: "t3.medium" });
  const logs = new WorkerLogs(stack, "logs", { deployment: "production", retentionDays: 14 });
  const queue = new SqsQueue(stack, "queue", { name: "mail" });

  for (const pool of ["docs", "mail"]) {
    const group = new AutoscalingGroup(stack, `${pool}_group`, {
      name: `ez-cdc-production-${pool}`,
      minSize: 0,
      maxSize: 5,
      availabilityZones: ["us-west-2a"],
      launchTemplate: { id: template.id, version: "${aws_launch_template.template.latest_version}" },
      enabledMetrics: [...GROUP_METRICS],
      waitForCapacityTimeout: "0",
    });
    const common = {
      deployment: "production",
      pool,
      asgName: group.name,
      backlog:
        pool === "mail" ? ({ kind: "sqs", queueName: queue.name } as const) : ({ kind: "control-plane" } as const),
    };
    const alarms = new PoolAlarms(stack, `${pool}_alarms`, {
      ...common,
      topicArns: ["arn:aws:sns:us-west-2:123456789012:on-call"],
    });
    const scaling = new PoolScaling(stack, `${pool}_scaling`, {
      ...common,
      jobsPerInstance: variableNumber(jobs),
      ...(pool === "docs" && { targetSlotUsagePercent: 80 }),
    });
    const dashboard = new PoolDashboard(stack, `${pool}_dashboard`, {
      ...common,
      region: "us-west-2",
      alarmArns: [...alarms.arns, ...scaling.alarmArns],
    });
    new TerraformOutput(stack, `${pool}_dashboard_name`, { value: dashboard.dashboardName, staticId: true });
  }
  new TerraformOutput(stack, "log_groups", { value: logs.groupArns, staticId: true });
  app.synth();
  return join(outdir, "stacks/signals");
}

test("R18: the signals of two pools are valid, apply as they stand, converge and are destroyed", async () => {
  const terraform = await aws.terraform(deployment(scratch.path));

  const { changes } = await terraform.plan();
  await terraform.apply("holdfast.tfplan");
  const second = await terraform.plan();

  const created = changes.map(({ type }) => type);
  expect(created.filter((type) => type === "aws_cloudwatch_metric_alarm")).toHaveLength(2 * (8 + 2));
  expect(created.filter((type) => type === "aws_autoscaling_policy")).toHaveLength(5);
  expect(created.filter((type) => type === "aws_cloudwatch_log_group")).toHaveLength(3);
  expect(second.changes).toEqual([]);
  expect(await terraform.outputs()).toMatchObject({
    docs_dashboard_name: "ez-cdc-production-docs",
    log_groups: { jobs: "arn:aws:logs:us-west-2:123456789012:log-group:/ez-cdc/workers/production/jobs" },
  });
  await terraform.destroy("-refresh=false");
  expect(await terraform.state()).toEqual([]);
});
