import catalogue from "../../../agent/worker/metric-catalogue.json";
import { PoolScaling } from "../../../modules/pool-scaling/pool-scaling";
import { AWS_METRICS } from "../../../modules/worker-observability/aws-metrics";
import type { Backlog } from "../../../modules/worker-observability/backlog";
import { cloudWatchAgentConfig } from "../../../modules/worker-observability/cloudwatch-agent-config";
import { PoolAlarms } from "../../../modules/worker-observability/pool-alarms";
import { PoolDashboard } from "../../../modules/worker-observability/pool-dashboard";
import { idsOf, parseExpression } from "../../support/cloudwatch/expression";
import { SynthesizedSignals } from "../../support/cloudwatch/synthesized-signals";

interface Reference {
  readonly where: string;
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: readonly string[];
}

const BACKLOGS: readonly Backlog[] = [{ kind: "control-plane" }, { kind: "sqs", queueName: "docs-queue" }];

function signalsOf(backlog: Backlog): SynthesizedSignals {
  return SynthesizedSignals.of((scope) => {
    const pool = { deployment: "production", pool: "docs", asgName: "docs-group", backlog };
    const alarms = new PoolAlarms(scope, "alarms", pool);
    const scaling = new PoolScaling(scope, "scaling", { ...pool, jobsPerInstance: 40, targetSlotUsagePercent: 80 });
    new PoolDashboard(scope, "dashboard", {
      ...pool,
      region: "us-west-2",
      alarmArns: [...alarms.arns, ...scaling.alarmArns],
    });
  });
}

/** Every object in a tree that has all of the given keys. */
function objectsWith(tree: unknown, ...keys: string[]): Record<string, unknown>[] {
  if (typeof tree !== "object" || tree === null) return [];
  const below = Object.values(tree).flatMap((child) => objectsWith(child, ...keys));
  return keys.every((key) => key in tree) ? [tree as Record<string, unknown>, ...below] : below;
}

/** Metrics of alarms and policies are found by the shape of their blocks, so that a new place to name one is looked at too. */
function referencesIn(signals: SynthesizedSignals): Reference[] {
  const blocks = [...signals.alarms, ...signals.policies].flatMap((resource) =>
    objectsWith(resource, "namespace", "metric_name").map((block) => ({
      where: "alarm_name" in resource ? resource.alarm_name : resource.name,
      namespace: String(block["namespace"]),
      name: String(block["metric_name"]),
      dimensions: dimensionNames(block["dimensions"]),
    })),
  );
  const lines = signals.dashboards.flatMap(({ dashboard_name, dashboard_body }) =>
    objectsWith(JSON.parse(dashboard_body), "metrics").flatMap(({ metrics }) =>
      (metrics as unknown[][]).map((line) => {
        const [namespace, name, ...rest] = line.filter((part) => typeof part === "string");
        return {
          where: dashboard_name,
          namespace: String(namespace),
          name: String(name),
          dimensions: rest.filter((_, index) => index % 2 === 0).map(String),
        };
      }),
    ),
  );
  return [...blocks, ...lines];
}

/** Alarms write dimensions as a map, policies as a list of names and values. */
function dimensionNames(dimensions: unknown): string[] {
  return Array.isArray(dimensions) ? dimensions.map(({ name }) => String(name)) : Object.keys(dimensions ?? {});
}

/** Why nobody would ever emit this metric; undefined for one that is emitted. */
function unknownMetric({ namespace, name, dimensions }: Reference): string | undefined {
  const wanted = [...dimensions].sort().join();
  if (namespace === "ez-cdc/workers") {
    const entry = (catalogue.metrics as Record<string, { dimensions: string[][] }>)[name];
    if (entry === undefined) return `${name} is not in the catalogue`;
    const known = entry.dimensions.map((set) => [...set].sort().join());
    return known.includes(wanted) ? undefined : `${name} has no dimensions ${wanted}`;
  }
  const service = Object.entries(AWS_METRICS).find(([known]) => known === namespace)?.[1];
  if (service === undefined) return `${namespace} is not a namespace of AWS's metrics`;
  if (!(service.names as readonly string[]).includes(name)) return `${name} is not a metric of ${namespace}`;
  return wanted === service.dimension ? undefined : `${name} has no dimensions ${wanted}`;
}

describe.each(BACKLOGS)("R18: with %o", (backlog) => {
  const signals = signalsOf(backlog);

  test("every metric of an alarm, a policy or the dashboard is one that somebody emits", () => {
    const references = referencesIn(signals);
    expect(references.length).toBeGreaterThan(40);
    expect(references.flatMap((reference) => unknownMetric(reference) ?? [])).toEqual([]);
  });

  test("every expression parses and names exactly the metrics of its alarm", () => {
    for (const { alarm_name, metric_query = [] } of signals.alarms) {
      const metrics = metric_query.filter(({ metric }) => metric).map(({ id }) => id);
      for (const { expression } of metric_query) {
        if (expression === undefined) continue;
        expect([alarm_name, ...new Set(idsOf(parseExpression(expression)))].sort()).toEqual(
          [alarm_name, ...metrics].sort(),
        );
      }
    }
  });
});

test("R18: a metric that nobody emits is found", () => {
  const reference = { where: "x", namespace: "ez-cdc/workers", name: "SlotsFree", dimensions: ["Deployment", "Pool"] };
  expect(unknownMetric(reference)).toBeUndefined();
  expect(unknownMetric({ ...reference, name: "FreeSlots" })).toBe("FreeSlots is not in the catalogue");
  expect(unknownMetric({ ...reference, dimensions: ["Pool"] })).toBe("SlotsFree has no dimensions Pool");
  expect(unknownMetric({ ...reference, namespace: "CWAgent" })).toMatch(/not a namespace/);
  expect(unknownMetric({ ...reference, namespace: "AWS/EC2", name: "MemoryUtilization" })).toMatch(/not a metric/);
});

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html */
const UNITS = ["Count", "Seconds", "Milliseconds", "Percent", "Bytes"];
const STATISTICS = ["Average", "Maximum", "Minimum", "SampleCount", "Sum"];
const EMITTERS = ["worker-agent", "bootstrap", "control-plane", "cloudwatch-agent"];

test.each(Object.entries(catalogue.metrics))("the catalogue describes %s wholly", (_, metric) => {
  expect(UNITS).toContain(metric.unit);
  expect(STATISTICS).toContain(metric.statistic);
  expect(EMITTERS).toContain(metric.emitter);
  expect(metric.period % 60).toBe(0);
  expect(metric.dimensions).toContainEqual(["Deployment", "Pool"]);
  expect(metric.meaning).not.toBe("");
  expect(metric.whenAbsent).not.toBe("");
});

test("defect 8: the CloudWatch agent emits exactly the catalogue's host metrics, under the pool's dimensions", () => {
  const groups = { agent: "a", jobs: "j", system: "s" };
  const { metrics } = cloudWatchAgentConfig({ deployment: "production", pool: "docs", logGroups: groups });
  const emitted = Object.entries(metrics.metrics_collected).flatMap(([plugin, { measurement, append_dimensions }]) => {
    expect(append_dimensions).toEqual({ Deployment: "production", Pool: "docs" });
    return measurement.map((name) => `${plugin}_${name}`);
  });
  const listed = Object.entries(catalogue.metrics).filter(([, { emitter }]) => emitter === "cloudwatch-agent");

  expect(emitted.sort()).toEqual(listed.map(([name]) => name).sort());
  expect(metrics).toMatchObject({ namespace: "ez-cdc/workers", aggregation_dimensions: [["Deployment", "Pool"]] });
});
