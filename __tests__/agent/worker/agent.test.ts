import type { Aws, AwsParameters } from "../../../agent/host/aws";
import { createLog } from "../../../agent/host/log";
import { runAgent } from "../../../agent/worker/agent";
import { ec2Cloud } from "../../../agent/worker/cloud";
import type { ControlPlaneClient } from "../../../agent/worker/control-plane-client";
import { daemonApi } from "../../../agent/worker/daemon/daemon-api";
import { PortPool } from "../../../agent/worker/daemon/free-port";
import { daemonQuirks } from "../../../agent/worker/daemon/quirks";
import type { Upgrades } from "../../../agent/worker/upgrade/upgrades";
import { INSTANCE, INSTANCE_CONFIG } from "./instance-config";

beforeEach(() => {
  jest.useFakeTimers({ now: Date.UTC(2026, 0, 2, 3, 4, 0) });
});
afterEach(() => {
  jest.useRealTimers();
});

/** An agent on a clock that the test moves. */
function startAgent() {
  const metadata = new Map([["meta-data/autoscaling/target-lifecycle-state", "InService"]]);
  const puts: Record<string, { value: number; at: string }>[] = [];
  const calls: string[] = [];
  const answers: Readonly<Record<string, object>> = {
    register: { protocol: 1, token: "session", progressMs: 30_000, metricsMs: 60_000 },
    heartbeat: { leaseMs: 30_000, nextMs: 10_000, actions: [] },
    deregister: {},
    metrics: {},
  };
  const aws = {
    region: "us-east-1",
    call: async (_service: string, action: string, params: AwsParameters) => {
      calls.push(action === "SetInstanceProtection" ? `${action} ${params["ProtectedFromScaleIn"]}` : action);
      if (action !== "PutMetricData") return {};
      const data = params["MetricData"] as readonly { MetricName: string; Value: number; Timestamp: string }[];
      puts.push(Object.fromEntries(data.map((d) => [d.MetricName, { value: d.Value, at: d.Timestamp }])));
      return {};
    },
  } as unknown as Aws;
  const log = createLog(() => {});
  const imds = { get: async (path: string) => metadata.get(path) };
  const parked: ControlPlaneClient["post"] = (name, _message, _token, { signal } = {}) =>
    name === "claim"
      ? new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("hung up"))))
      : Promise.resolve(answers[name] as never);
  let mayRestart = () => false;
  const stop = new AbortController();
  const ended = runAgent(
    {
      worker: { workerId: INSTANCE, agentVersion: "0.2.0", daemonVersion: "none", pool: "docs", labels: {}, slots: 5 },
      drain: INSTANCE_CONFIG.drain,
    },
    {
      log,
      controlPlane: { post: parked },
      deploymentToken: async () => "token",
      host: { start: () => Promise.reject(new Error("no jobs here")), survivors: async () => [] },
      ports: new PortPool(),
      quirks: daemonQuirks({ kind: "dbmazz", version: "2.4.0" }),
      api: daemonApi,
      holdLease: () => {},
      notify: async () => {},
      watchdogPeriodMs: undefined,
      upgrades: (upgrading) => {
        mayRestart = upgrading.mayRestart;
        return { resume: async () => {}, said: () => undefined, heard: async () => {} } as unknown as Upgrades;
      },
      cloud: ec2Cloud({ config: INSTANCE_CONFIG, instanceId: INSTANCE, aws, imds, log }),
    },
    { stop: stop.signal, handOver: new AbortController().signal },
  );
  return {
    metadata,
    puts,
    calls,
    mayRestart: () => mayRestart(),
    stop: async () => {
      stop.abort();
      await jest.advanceTimersByTimeAsync(2_000);
      await ended;
    },
  };
}

test("each metric has one datapoint per minute; the heartbeat stops once the target state leaves InService", async () => {
  const { metadata, puts, stop } = startAgent();

  // WHEN three minutes pass, the last in Standby
  await jest.advanceTimersByTimeAsync(120_000);
  metadata.set("meta-data/autoscaling/target-lifecycle-state", "Standby");
  await jest.advanceTimersByTimeAsync(60_000);
  await stop();

  // THEN
  const minutes = ["2026-01-02T03:04:00.000Z", "2026-01-02T03:05:00.000Z", "2026-01-02T03:06:00.000Z"];
  expect(puts.map(({ SlotsFree }) => SlotsFree)).toEqual(minutes.map((at) => ({ value: 5, at })));
  expect(puts.map(({ SlotsUsed }) => SlotsUsed)).toEqual(minutes.map((at) => ({ value: 0, at })));
  expect(puts.map(({ WorkerHeartbeat }) => WorkerHeartbeat?.value)).toEqual([1, 1, undefined]);
});

test.each([
  ["back", -3_600_000],
  ["forward", 3_600_000],
])(
  "a clock that is set %s by an hour leaves each minute its datapoint, under the time that it is then",
  async (_, byMs) => {
    const { puts, stop } = startAgent();
    await jest.advanceTimersByTimeAsync(90_000);
    expect(puts).toHaveLength(1);

    jest.setSystemTime(Date.now() + byMs);
    await jest.advanceTimersByTimeAsync(600_000);

    expect(puts.length).toBeGreaterThanOrEqual(10);
    expect(puts.length).toBeLessThanOrEqual(12);
    const told = puts.slice(2).map(({ SlotsFree }) => Date.parse(SlotsFree?.at ?? ""));
    for (const at of told) expect(Math.abs(at - Date.now())).toBeLessThanOrEqual(720_000);
    expect(new Set(told).size).toBe(told.length);
    await stop();
  },
);

test("R31: an agent may be started again for an upgrade until it drains", async () => {
  const { mayRestart, metadata, stop } = startAgent();
  await jest.advanceTimersByTimeAsync(5_000);
  expect(mayRestart()).toBe(true);

  metadata.set("meta-data/events/recommendations/rebalance", JSON.stringify({ noticeTime: "2026-01-02T03:04:05Z" }));
  await jest.advanceTimersByTimeAsync(5_000);

  expect(mayRestart()).toBe(false);
  await stop();
});
