import catalogue from "../../../agent/worker/metric-catalogue.json";
import { cloudWatchBacklog } from "../../../control-plane/api/cloudwatch";
import { poolMetric } from "../../../modules/worker-observability/metrics";
import { type HttpRequest, startHttpServer } from "../../support/http-server";

const CLIENT = {
  region: "eu-west-1",
  credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "test" },
  disableRequestCompression: true,
};

it("publishes what a fleet's policies and alarms read, zero included, for more pools than one call takes", async () => {
  const requests: HttpRequest[] = [];
  const server = await startHttpServer((request) => {
    requests.push(request);
    return { status: 200, headers: { "content-type": "application/x-amz-json-1.0" }, body: "{}" };
  });
  const client = { ...CLIENT, endpoint: server.endpoint };
  const idle = Array.from({ length: 600 }, (_, n) => ({ deployment: "idle", pool: `p${n}`, jobs: 0, ageSeconds: 0 }));
  const busy = { deployment: "production", pool: "streaming", jobs: 7, ageSeconds: 42.5 };

  const { signal } = new AbortController();
  await cloudWatchBacklog("ez-cdc/workers", client)([...idle, busy], new Date("2026-01-01T00:01:00Z"), signal);
  await server.close();

  const calls = requests.map(({ body }) => JSON.parse(body));
  expect(requests.map(({ headers }) => headers["x-amz-target"])).toEqual(
    Array(2).fill("GraniteServiceVersion20100801.PutMetricData"),
  );
  expect(requests[0]?.headers["authorization"]).toMatch(/\/eu-west-1\/monitoring\/aws4_request/);
  expect(calls.map(({ MetricData }) => MetricData.length)).toEqual([1_000, 202]);
  expect(calls[0].MetricData[0]).toMatchObject({ MetricName: "BacklogJobs", Value: 0 });

  const published = calls[1].MetricData.slice(-2);
  for (const [index, name] of (["BacklogJobs", "BacklogAge"] as const).entries()) {
    const { namespace, metricName, dimensions } = poolMetric({ product: "ez-cdc", ...busy }, name);
    expect(calls[1].Namespace).toBe(namespace);
    expect(published[index]).toEqual({
      MetricName: metricName,
      Unit: catalogue.metrics[name].unit,
      Value: [7, 42.5][index],
      Timestamp: Date.parse("2026-01-01T00:01:00Z") / 1_000,
      Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
    });
  }
});

it("gives up a CloudWatch that is silent, by itself and when told to", async () => {
  const server = await startHttpServer(() => undefined);
  const publish = cloudWatchBacklog("ez-cdc/workers", { ...CLIENT, endpoint: server.endpoint, maxAttempts: 1 });
  const backlog = [{ deployment: "production", pool: "streaming", jobs: 7, ageSeconds: 42.5 }];

  await expect(publish(backlog, new Date(), new AbortController().signal)).rejects.toThrow(/timed? ?out/i);
  await expect(publish(backlog, new Date(), AbortSignal.abort())).rejects.toThrow(/abort/i);
  await server.close();
});
