import { cloudWatchAgentConfig } from "../../../modules/worker-observability/cloudwatch-agent-config";
import { cloudWatchAgentSchema } from "../../support/cloudwatch/agent-schema";

const LOG_GROUPS = {
  agent: "/ez-cdc/workers/production/agent",
  jobs: "/ez-cdc/workers/production/jobs",
  system: "/ez-cdc/workers/production/system",
};
const config = () => cloudWatchAgentConfig({ deployment: "production", pool: "docs", logGroups: LOG_GROUPS });
const files = (props = config()) => props.logs.logs_collected.files.collect_list;

test("the CloudWatch agent accepts it", () => {
  expect(cloudWatchAgentSchema.parse(config())).toEqual(config());
});

test("defect 8: the worker agent's log goes to its own stream of each instance", () => {
  expect(files().find(({ file_path }) => file_path === "/var/log/holdfast/worker-agent.log")).toEqual({
    file_path: "/var/log/holdfast/worker-agent.log",
    log_group_name: LOG_GROUPS.agent,
    log_stream_name: "{instance_id}/worker-agent.log",
    timezone: "UTC",
  });
});

test("defect 8: every daemon's log is followed, one stream each, not the newest alone", () => {
  const [jobs, ...more] = files().filter(({ log_group_name }) => log_group_name === LOG_GROUPS.jobs);
  expect(more).toEqual([]);
  expect(jobs).toMatchObject({ file_path: "/var/log/holdfast-jobs/dbmazz-*.log", publish_multi_logs: true });
});

test("the bootstrap, cloud-init and the CloudWatch agent itself leave a trace", () => {
  const system = files().filter(({ log_group_name }) => log_group_name === LOG_GROUPS.system);
  expect(system.map(({ log_stream_name }) => log_stream_name)).toEqual([
    "{instance_id}/bootstrap.log",
    "{instance_id}/cloud-init-output.log",
    "{instance_id}/amazon-cloudwatch-agent.log",
  ]);
});

test("metrics that are dropped in favour of their aggregate are kept by it", () => {
  const dropped = Object.entries(config().metrics.metrics_collected).flatMap(([name, { measurement, ...rest }]) =>
    "drop_original_metrics" in rest ? [{ name, measurement, originals: rest.drop_original_metrics }] : [],
  );

  expect(dropped.map(({ name }) => name)).toEqual(["cpu", "net"]);
  for (const { name, measurement, originals } of dropped) {
    expect(originals).toEqual(measurement.map((metric) => `${name}_${metric}`));
  }
});

/**
 * The agent makes an aggregate only where it has fewer dimensions than the metric itself, and drops the original all the same.
 */
test("an original is dropped only where it has more dimensions than the aggregate", () => {
  const { metrics_collected, aggregation_dimensions } = config().metrics;
  const own = { cpu: ["cpu"], mem: [], disk: ["fstype", "path"], net: ["interface"] };
  for (const [name, plugin] of Object.entries(metrics_collected)) {
    const original = [...Object.keys(plugin.append_dimensions), "InstanceId", ...own[name as keyof typeof own]];
    for (const aggregate of aggregation_dimensions) expect(aggregate.length).toBeLessThan(original.length);
  }
});

test("paths and interfaces can be given, and the product names the namespace", () => {
  const custom = cloudWatchAgentConfig({
    product: "acme",
    deployment: "production",
    pool: "docs",
    logGroups: LOG_GROUPS,
    jobLogs: "/srv/jobs/*.out",
    networkInterfaces: ["ens6"],
  });
  expect(cloudWatchAgentSchema.parse(custom).metrics.namespace).toBe("acme/workers");
  expect(custom.metrics.metrics_collected.net.resources).toEqual(["ens6"]);
  expect(files(custom).map(({ file_path }) => file_path)).toEqual(
    expect.arrayContaining(["/srv/jobs/*.out", "/var/log/holdfast/worker-agent.log"]),
  );
});
