import { PoolScaling, type PoolScalingProps } from "../../../modules/pool-scaling/pool-scaling";
import { alarmSeries, READINGS, type Reading } from "../../support/cloudwatch/alarm";
import { pooledMetric, RECORDED_POOL, RECORDED_QUEUE, recordedPool } from "../../support/cloudwatch/recorded-pool";
import { loadRecording, type Recording } from "../../support/cloudwatch/recording";
import { requestedCapacity } from "../../support/cloudwatch/scaling-policy";
import { replay, SynthesizedSignals } from "../../support/cloudwatch/synthesized-signals";

const [STRICT] = READINGS as readonly [Reading];
const CONTROL_PLANE = { kind: "control-plane" } as const;
const QUEUE = { kind: "sqs", queueName: RECORDED_QUEUE } as const;

function scaling(props: Pick<PoolScalingProps, "backlog"> & Partial<PoolScalingProps>): SynthesizedSignals {
  return SynthesizedSignals.of((scope) => {
    new PoolScaling(scope, "scaling", { ...RECORDED_POOL, jobsPerInstance: 40, ...props });
  });
}

/** The same minutes, with the backlog in a queue. */
function inQueue({ metrics: { BacklogJobs = [], ...metrics }, ...recording }: Recording): Recording {
  return { ...recording, metrics: { ...metrics, ApproximateNumberOfMessagesVisible: BacklogJobs } };
}

/** What the step policy asks for on the largest value of its alarm's window, for a group with `desired` instances. */
function requested(signals: SynthesizedSignals, recording: Recording, now: number, desired: number): number {
  const alarm = signals.alarm("scale-out");
  const window = alarmSeries(alarm, recordedPool(recording), now, {
    ...STRICT,
    extraPeriods: 0,
  });
  const value = Math.max(...window.map((point) => point ?? 0));
  const group = { minSize: 0, maxSize: 50, desired, warming: 0, activityInProgress: false, lastActivityEnd: 0 };
  return requestedCapacity(signals.policyOf(alarm), value, alarm.threshold, group, now);
}

/** A constant minute for every metric. */
const steady = (metrics: Record<string, number | null>): Recording => ({
  description: "",
  origin: "",
  minutes: 10,
  metrics: Object.fromEntries(Object.entries(metrics).map(([name, sample]) => [name, Array(10).fill(sample)])),
});

describe.each([
  ["control plane", scaling({ backlog: CONTROL_PLANE }), (recording: Recording) => recording, "BacklogJobs"],
  ["queue", scaling({ backlog: QUEUE }), inQueue, "ApproximateNumberOfMessagesVisible"],
] as const)("backlog counted by the %s", (_, signals, withBacklog, backlogName) => {
  const recording = withBacklog(loadRecording("backlog-at-zero-instances"));
  const firstSeen = 12;

  test.each(READINGS)(
    "R16: 0 instances, backlog 5 and gaps: capacity is requested within 2 periods (%o)",
    (reading) => {
      const states = replay(signals.alarm("scale-out"), recordedPool(recording), recording.minutes, reading);

      expect(states.slice(0, firstSeen)).not.toContain("ALARM");
      expect(states.slice(firstSeen, firstSeen + 2)).toContain("ALARM");
      expect(requested(signals, recording, firstSeen + 1, 0)).toBe(1);
    },
  );

  test.each(READINGS)(
    "R16: metrics that are two minutes late delay the request by no more than that (%o)",
    (reading) => {
      const states = replay(signals.alarm("scale-out"), recordedPool(recording, 2), recording.minutes, reading);

      expect(states.slice(0, firstSeen + 2)).not.toContain("ALARM");
      expect(states.slice(firstSeen + 2, firstSeen + 4)).toContain("ALARM");
    },
  );

  test("R16: the backlog divided by the instances, unguarded, requests nothing on the same series", () => {
    const block = (metric: ReturnType<typeof pooledMetric>) => ({
      namespace: metric.namespace,
      metric_name: metric.metricName,
      dimensions: metric.dimensions,
      stat: "Maximum" as const,
      period: 60,
    });
    const naive = {
      ...signals.alarm("scale-out"),
      metric_query: [
        { id: "value", expression: "backlog / instances", return_data: true },
        { id: "backlog", metric: block(pooledMetric(backlogName)) },
        { id: "instances", metric: block(pooledMetric("GroupInServiceInstances")) },
      ],
    };

    for (const reading of READINGS) {
      expect(replay(naive, recordedPool(recording), recording.minutes, reading)).not.toContain("ALARM");
    }
  });

  test("no backlog, and no data at all, request nothing", () => {
    for (const reading of READINGS) {
      for (const metrics of [
        steady({ GroupDesiredCapacity: 3, GroupInServiceInstances: 3, BacklogJobs: 0 }),
        steady({ GroupDesiredCapacity: 3, GroupInServiceInstances: 3 }),
        steady({ GroupDesiredCapacity: 3, GroupInServiceInstances: 4, BacklogJobs: 0 }),
        steady({}),
      ].map(withBacklog)) {
        expect(replay(signals.alarm("scale-out"), recordedPool(metrics), 10, reading)).not.toContain("ALARM");
      }
    }
  });
});

describe("how much is requested", () => {
  const controlPlane = scaling({ backlog: CONTROL_PLANE });
  const queue = scaling({ backlog: { ...QUEUE, messagesPerInstance: 100 } });

  test.each([
    [{ backlog: 1, desired: 0, inService: 0 }, 1],
    [{ backlog: 40, desired: 0, inService: 0 }, 1],
    [{ backlog: 41, desired: 0, inService: 0 }, 2],
    [{ backlog: 1, desired: 10, inService: 10 }, 11],
    [{ backlog: 200, desired: 10, inService: 10 }, 14],
    [{ backlog: 4000, desired: 10, inService: 10 }, 26],
    [{ backlog: 40, desired: 11, inService: 10 }, 11],
    [{ backlog: 41, desired: 11, inService: 10 }, 12],
  ])("pending jobs have no slot: %o asks for %i", ({ backlog, desired, inService }, expected) => {
    const recording = steady({
      BacklogJobs: backlog,
      GroupDesiredCapacity: desired,
      GroupInServiceInstances: inService,
    });
    expect(requested(controlPlane, recording, 5, desired)).toBe(expected);
  });

  test.each([
    [{ backlog: 1, desired: 0 }, 1],
    [{ backlog: 1000, desired: 10 }, 10],
    [{ backlog: 1001, desired: 10 }, 11],
    [{ backlog: 1500, desired: 10 }, 14],
    [{ backlog: 9000, desired: 45 }, 50],
  ])("a queue may hold work for every instance: %o asks for %i", ({ backlog, desired }, expected) => {
    const recording = inQueue(
      steady({ BacklogJobs: backlog, GroupDesiredCapacity: desired, GroupInServiceInstances: desired }),
    );
    expect(requested(queue, recording, 5, desired)).toBe(expected);
  });
});
