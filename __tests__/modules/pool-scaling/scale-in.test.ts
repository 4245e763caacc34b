import { PoolScaling, type PoolScalingProps } from "../../../modules/pool-scaling/pool-scaling";
import { READINGS, type Reading, type SynthesizedAlarm } from "../../support/cloudwatch/alarm";
import { pooledMetric, RECORDED_POOL, RECORDED_QUEUE, recordedPool } from "../../support/cloudwatch/recorded-pool";
import { loadRecording, type Recording } from "../../support/cloudwatch/recording";
import { requestedCapacity } from "../../support/cloudwatch/scaling-policy";
import { replay, SynthesizedSignals } from "../../support/cloudwatch/synthesized-signals";

function scaling(props: Partial<PoolScalingProps> = {}): SynthesizedSignals {
  return SynthesizedSignals.of((scope) => {
    new PoolScaling(scope, "scaling", {
      ...RECORDED_POOL,
      jobsPerInstance: 40,
      backlog: { kind: "control-plane" },
      ...props,
    });
  });
}

const [STRICT] = READINGS as readonly [Reading];

/** The minutes of a recording at whose end an alarm is on. */
const minutesIn = (alarm: SynthesizedAlarm, recording: Recording, reading = STRICT) =>
  replay(alarm, recordedPool(recording), recording.minutes, reading).flatMap((state, minute) =>
    state === "ALARM" ? [minute] : [],
  );

/** The alarm with a part of its expression replaced: what the part is for shows in what happens without it. */
function mutated(alarm: SynthesizedAlarm, part: RegExp, replacement: string): SynthesizedAlarm {
  const metric_query = alarm.metric_query?.map((query) => {
    if (query.expression === undefined) return query;
    expect(query.expression).toMatch(part);
    return { ...query, expression: query.expression.replace(part, replacement) };
  });
  return { ...alarm, ...(metric_query && { metric_query }) };
}

/** What a worker tier that goes by CPU alone would have: average CPU under the limit for a quarter of an hour. */
const cpuAlone = (threshold: number): SynthesizedAlarm => ({
  alarm_name: "cpu-alone",
  comparison_operator: "LessThanThreshold",
  threshold,
  evaluation_periods: 3,
  namespace: "AWS/EC2",
  metric_name: "CPUUtilization",
  dimensions: pooledMetric("CPUUtilization").dimensions,
  statistic: "Average",
  period: 300,
});

describe("40 streaming jobs on one host for 24 hours", () => {
  const day = loadRecording("streaming-jobs-on-one-host");

  test.each(READINGS)("R17: idle processors trigger 0 scale-in actions (%o)", (reading) => {
    expect(minutesIn(scaling().alarm("scale-in"), day, reading)).toEqual([]);
  });

  test("R17: the same holds for jobs from a queue, which is silent all day", () => {
    const { BacklogJobs: _, ...metrics } = day.metrics;
    const alarm = scaling({ backlog: { kind: "sqs", queueName: RECORDED_QUEUE } }).alarm("scale-in");
    for (const reading of READINGS) expect(minutesIn(alarm, { ...day, metrics }, reading)).toEqual([]);
  });

  test("R17: an alarm on CPU alone would scale in by night under 10 %, and all day under 20 %", () => {
    expect(minutesIn(cpuAlone(10), day).length).toBeGreaterThan(600);
    expect(minutesIn(cpuAlone(20), day).length).toBeGreaterThan(1420);
  });

  test("R17: without the leg of the free slots the alarm would scale in too", () => {
    const withoutSlots = mutated(scaling().alarm("scale-in"), / AND FILL\(slots_free.*?, 1, 0\)$/, ", 1, 0)");
    expect(minutesIn(withoutSlots, day).length).toBeGreaterThan(600);
  });

  test("R17: no other alarm of the pool has a policy that removes instances", () => {
    const signals = scaling({ targetSlotUsagePercent: 80 });
    const removing = signals.policies.filter(({ scaling_adjustment = 0 }) => scaling_adjustment < 0);
    expect(removing).toHaveLength(1);
    expect(signals.policies.find(({ policy_type }) => policy_type === "TargetTrackingScaling")).toMatchObject({
      target_tracking_configuration: { disable_scale_in: true, target_value: 80 },
    });
  });
});

describe("three hosts, whose jobs end in minute 300", () => {
  const evening = loadRecording("jobs-end-on-three-hosts");
  const alarm = scaling().alarm("scale-in");
  const changed = (metrics: Recording["metrics"]) => ({ ...evening, metrics: { ...evening.metrics, ...metrics } });

  test.each(READINGS)("a spare instance is seen after 15 quiet minutes and not before (%o)", (reading) => {
    expect(minutesIn(alarm, evening, reading)[0]).toBe(314);
  });

  test.each([
    ["CPU is high", { CPUUtilization: Array(480).fill(45) }],
    ["CPU is unknown", { CPUUtilization: [] }],
    ["a job waits", { BacklogJobs: Array(480).fill(1) }],
    ["the backlog is unknown", { BacklogJobs: [] }],
    ["the backlog's push misses every other five minutes", { BacklogJobs: alternate(480, 5) }],
    ["no slot is free", { SlotsFree: Array(480).fill([0, 0, 0]) }],
    ["a protected instance has yet to leave", { GroupDesiredCapacity: Array(480).fill(2) }],
    ["the group says nothing of itself", { GroupDesiredCapacity: [], GroupInServiceInstances: [] }],
    ["free slots are unknown", { SlotsFree: [] }],
    ["an instance would leave without headroom", { SlotsFree: Array(480).fill([16, 16, 15]) }],
  ] as [string, Recording["metrics"]][])("no instance is spare while %s", (_, metrics) => {
    for (const reading of READINGS) expect(minutesIn(alarm, changed(metrics), reading)).toEqual([]);
  });

  test("an instance is spare as soon as the jobs of one fit in the others with a fifth to spare", () => {
    expect(minutesIn(alarm, changed({ SlotsFree: Array(480).fill([16, 16, 16]) })).length).toBeGreaterThan(0);
    const none = scaling({ scaleIn: { headroomSlots: 0 } }).alarm("scale-in");
    expect(minutesIn(none, changed({ SlotsFree: Array(480).fill([14, 13, 13]) })).length).toBeGreaterThan(0);
  });

  test("an idle queue that sends nothing counts as empty", () => {
    const queued = scaling({ backlog: { kind: "sqs", queueName: RECORDED_QUEUE } }).alarm("scale-in");
    const { BacklogJobs: _, ...silent } = evening.metrics;
    for (const reading of READINGS.filter(({ fillsEmpty }) => fillsEmpty)) {
      expect(minutesIn(queued, { ...evening, metrics: silent }, reading)[0]).toBe(314);
    }
  });
});

describe("the last instance", () => {
  const last = (free: number): Recording => ({
    description: "",
    origin: "",
    minutes: 60,
    metrics: {
      CPUUtilization: Array(60).fill(1),
      GroupDesiredCapacity: Array(60).fill(1),
      GroupInServiceInstances: Array(60).fill(1),
      SlotsFree: Array(60).fill(free),
      BacklogJobs: Array(60).fill(0),
    },
  });

  test("leaves when all of its slots are free, and with one job it stays", () => {
    const alarm = scaling().alarm("scale-in");
    for (const reading of READINGS) {
      expect(minutesIn(alarm, last(40), reading)[0]).toBe(14);
      expect(minutesIn(alarm, last(39), reading)).toEqual([]);
    }
  });
});

test("instances leave one at a time: the next waits for the drain and the cooldown", () => {
  const signals = scaling({ scaleIn: { cooldownSeconds: 600 } });
  const policy = signals.policyOf(signals.alarm("scale-in"));
  const group = { minSize: 1, maxSize: 9, desired: 3, warming: 0, activityInProgress: false, lastActivityEnd: 100 };

  expect(requestedCapacity(policy, 1, 1, { ...group, activityInProgress: true }, 200)).toBe(3);
  expect(requestedCapacity(policy, 1, 1, group, 109)).toBe(3);
  expect(requestedCapacity(policy, 1, 1, group, 110)).toBe(2);
  expect(requestedCapacity(policy, 1, 1, { ...group, desired: 1 }, 110)).toBe(1);
});

function alternate(minutes: number, run: number): (number | null)[] {
  return Array.from({ length: minutes }, (_, minute) => (Math.floor(minute / run) % 2 === 0 ? 0 : null));
}
