import { awsClient } from "../../../agent/host/aws";
import type { WorkerConfig } from "../../../agent/worker/config";
import catalogue from "../../../agent/worker/metric-catalogue.json";
import { minuteOf, PUBLISHED, putMetrics } from "../../../agent/worker/metrics";
import { type FakeAws, startAws } from "../../support/fake-aws";
import { FAKE_CREDENTIALS } from "../../support/imds";

interface CatalogueEntry {
  readonly emitter: string;
  readonly unit: string;
  readonly dimensions: readonly (readonly string[])[];
}
const METRICS: Readonly<Record<string, CatalogueEntry>> = catalogue.metrics;
const CONFIG = { metricsNamespace: "ez-cdc/workers", deployment: "production", pool: "docs" } as WorkerConfig;

let aws: FakeAws;
beforeEach(async () => {
  aws = await startAws();
});
afterEach(() => aws.close());

test.each(PUBLISHED)("%s is sent with the unit and the dimensions that the catalogue gives", async (name) => {
  // GIVEN
  const client = awsClient({
    region: "us-east-1",
    credentials: Object.assign(async () => FAKE_CREDENTIALS, { forget() {} }),
    environment: { AWS_ENDPOINT_URL: aws.endpoint },
  });
  const minute = minuteOf(Date.UTC(2026, 0, 2, 3, 4, 59));

  // WHEN
  await putMetrics(client, CONFIG, minute, { [name]: 3 });

  // THEN
  const entry = METRICS[name];
  const [call, ...more] = aws.callsOf("PutMetricData");
  expect(more).toEqual([]);
  expect(call?.params).toMatchObject({
    Namespace: "ez-cdc/workers",
    "MetricData.member.1.MetricName": name,
    "MetricData.member.1.Value": "3",
    "MetricData.member.1.Unit": entry?.unit,
    "MetricData.member.1.Timestamp": "2026-01-02T03:04:00.000Z",
  });
  const sent = Object.entries(call?.params ?? {}).filter(([key]) => /Dimensions\.member\.\d+\.Name$/.test(key));
  expect(entry?.dimensions).toContainEqual(sent.map(([, value]) => value));
  expect(call?.params).not.toHaveProperty("MetricData.member.2.MetricName");
  expect(["worker-agent", "bootstrap"]).toContain(entry?.emitter);
});
