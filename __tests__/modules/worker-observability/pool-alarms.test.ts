import { ALARM_NAMES, type AlarmName } from "../../../modules/worker-observability/alarm-definitions";
import type { Backlog } from "../../../modules/worker-observability/backlog";
import { PoolAlarms, type PoolAlarmsProps } from "../../../modules/worker-observability/pool-alarms";
import { type AlarmState, READINGS, type Reading } from "../../support/cloudwatch/alarm";
import { RecordedMetrics, type Samples } from "../../support/cloudwatch/recorded-metrics";
import { pooledMetric, RECORDED_POOL, RECORDED_QUEUE, recordedPool } from "../../support/cloudwatch/recorded-pool";
import { loadRecording } from "../../support/cloudwatch/recording";
import { replay, SynthesizedSignals } from "../../support/cloudwatch/synthesized-signals";

const QUEUE: Backlog = { kind: "sqs", queueName: RECORDED_QUEUE };
const TOPIC = "arn:aws:sns:us-west-2:111122223333:on-call";

function alarms(props: Partial<PoolAlarmsProps> = {}): SynthesizedSignals {
  return SynthesizedSignals.of((scope) => {
    new PoolAlarms(scope, "alarms", { ...RECORDED_POOL, backlog: { kind: "control-plane" }, ...props });
  });
}

/** Runs of samples: `[[60, 1], [30, null]]` is an hour of ones and half an hour of silence. */
function samples(runs: readonly (readonly [number, Samples[number]])[]): Samples {
  return runs.flatMap(([minutes, sample]) => Array.from({ length: minutes }, () => sample));
}

type Minutes = Readonly<Record<string, readonly (readonly [number, Samples[number]])[]>>;

function states(name: AlarmName, minutes: number, metrics: Minutes, reading: Reading, backlog?: Backlog): AlarmState[] {
  const recorded = new RecordedMetrics();
  for (const [metric, runs] of Object.entries(metrics)) recorded.record(pooledMetric(metric), samples(runs));
  return replay(alarms(backlog && { backlog }).alarm(name), recorded, minutes, reading);
}

const group = (desired: number, inService = desired): Minutes => ({
  GroupDesiredCapacity: [[120, desired]],
  GroupInServiceInstances: [[120, inService]],
});

describe.each(READINGS)("when CloudWatch reads gaps as %o", (reading) => {
  const onSince = (name: AlarmName, metrics: Minutes, backlog?: Backlog) =>
    states(name, 120, metrics, reading, backlog).indexOf("ALARM");

  test("defect 9: a dead agent on a live instance is noticed within 10 minutes", () => {
    const dies = {
      ...group(3),
      WorkerHeartbeat: [
        [60, [1, 1, 1]],
        [60, [1, 1]],
      ] as const,
    };
    expect(onSince("no-heartbeat", dies)).toBe(64);
  });

  test("defect 9: agents that all die at once are noticed", () => {
    const die = { ...group(3), WorkerHeartbeat: [[60, [1, 1, 1]]] as const };
    const after = states("no-heartbeat", 120, die, reading).slice(70);
    expect(new Set(after)).toEqual(new Set(["ALARM"]));
  });

  test("defect 9: an agent that never starts is noticed", () => {
    expect(onSince("no-heartbeat", group(1))).toBeGreaterThanOrEqual(0);
  });

  test("a missed beat, a draining worker and an empty pool are no dead agent", () => {
    const missed = {
      ...group(2),
      WorkerHeartbeat: [
        [60, [1, 1]],
        [3, [1]],
        [57, [1, 1]],
      ] as const,
    };
    const drained = {
      ...group(2),
      GroupInServiceInstances: [
        [61, 2],
        [59, 1],
      ] as const,
      WorkerHeartbeat: [
        [60, [1, 1]],
        [60, [1]],
      ] as const,
    };
    expect(onSince("no-heartbeat", missed)).toBe(-1);
    expect(onSince("no-heartbeat", drained)).toBe(-1);
    expect(onSince("no-heartbeat", group(0))).toBe(-1);
  });

  test("a group that cannot launch is noticed after 20 minutes, one that boots is not", () => {
    expect(onSince("below-capacity", group(3, 2))).toBe(19);
    expect(
      onSince("below-capacity", {
        ...group(3),
        GroupInServiceInstances: [
          [19, 2],
          [101, 3],
        ],
      }),
    ).toBe(-1);
    expect(onSince("below-capacity", group(0))).toBe(-1);
  });

  test("work that waits too long is noticed, whoever counts it", () => {
    const waits = [
      [60, 30],
      [60, 901],
    ] as const;
    expect(onSince("backlog-age", { BacklogAge: waits })).toBe(64);
    expect(onSince("backlog-age", { ApproximateAgeOfOldestMessage: waits }, QUEUE)).toBe(64);
  });

  test("a control plane that stops pushing its backlog is noticed, an idle queue is not", () => {
    expect(onSince("backlog-age", { BacklogAge: [[60, 0]] })).toBeGreaterThan(60);
    expect(onSince("backlog-age", { ApproximateAgeOfOldestMessage: [[60, 0]] }, QUEUE)).toBe(-1);
  });

  test("a job that stays unhealthy is noticed, one that restarts is not", () => {
    expect(
      onSince("unhealthy-jobs", {
        JobsUnhealthy: [
          [60, 0],
          [60, 1],
        ],
      }),
    ).toBe(67);
    expect(
      onSince("unhealthy-jobs", {
        JobsUnhealthy: [
          [60, 0],
          [5, 1],
          [55, 0],
        ],
      }),
    ).toBe(-1);
  });

  test.each([
    [
      "drain-overrun",
      {
        DrainOverrun: [
          [60, null],
          [10, 0],
          [5, 30],
          [45, null],
        ],
      },
      70,
    ],
    [
      "retained-instances",
      {
        InstanceRetained: [
          [60, null],
          [60, 1],
        ],
      },
      64,
    ],
    [
      "boot-failed",
      {
        BootFailed: [
          [62, null],
          [1, 1],
          [57, null],
        ],
      },
      64,
    ],
    [
      "refresh-guard",
      {
        BootFailed: [
          [62, null],
          [1, 1],
          [57, null],
        ],
      },
      64,
    ],
  ] as [AlarmName, Minutes, number][])("%s goes off", (name, metrics, minute) => {
    expect(onSince(name, metrics)).toBe(minute);
    expect(onSince(name, {})).toBe(-1);
  });

  test("a refresh is rolled back when unhealthy jobs rise, and is free to cure a pool whose jobs are ill already", () => {
    const rising = states(
      "refresh-guard",
      120,
      {
        JobsUnhealthy: [
          [60, 2],
          [60, 4],
        ],
      },
      reading,
    );
    expect(rising.indexOf("ALARM")).toBe(64);
    expect(rising.at(-1)).toBe("OK");
    expect(onSince("refresh-guard", { JobsUnhealthy: [[120, 9]] })).toBe(-1);
    expect(
      onSince("refresh-guard", {
        JobsUnhealthy: [
          [60, 9],
          [10, null],
          [50, 9],
        ],
      }),
    ).toBe(-1);
  });

  test.each([
    ["free of single jobs that fail once each", 40, 1, -1],
    ["rolled back when a tenth of the jobs stays unhealthy", 40, 4, 64],
    ["rolled back when as many fail once each in a pool of few jobs", 5, 1, 64],
    ["rolled back although nobody tells how many jobs there are", null, 1, 64],
  ])("a refresh is %s", (_, used, unhealthy, minute) => {
    const fails = {
      SlotsUsed: [[120, used]] as const,
      JobsUnhealthy: [
        [60, 0],
        [5, unhealthy],
        [55, 0],
      ] as const,
    };
    expect(onSince("refresh-guard", fails)).toBe(minute);
  });
});

test("defect 9: of all alarms, only the heartbeat tells of a dead agent: its host is well, and its jobs report nothing", () => {
  const day = loadRecording("streaming-jobs-on-one-host");
  const dead = { ...day, metrics: { ...day.metrics, WorkerHeartbeat: [], BacklogAge: Array(1440).fill(0) } };
  const [reading] = READINGS as readonly [Reading];

  const seenBy = ALARM_NAMES.filter((name) =>
    replay(alarms().alarm(name), recordedPool(dead), 60, reading).includes("ALARM"),
  );

  expect(seenBy).toEqual(["no-heartbeat"]);
});

describe("R18: the alarms of a pool", () => {
  test("exist under the pool's name, one for each thing that can go wrong", () => {
    const names = alarms().alarms.map(({ alarm_name }) => alarm_name);
    expect(names.sort()).toEqual(
      [
        "no-heartbeat",
        "below-capacity",
        "boot-failed",
        "backlog-age",
        "drain-overrun",
        "unhealthy-jobs",
        "retained-instances",
        "refresh-guard",
      ]
        .map((name) => `ez-cdc-production-docs-${name}`)
        .sort(),
    );
  });

  test("each says what it means, what missing data is, and fits in CloudWatch's 1,024 characters", () => {
    for (const { alarm_description = "", treat_missing_data } of alarms().alarms) {
      expect(alarm_description.length).toBeLessThanOrEqual(1024);
      expect(alarm_description).toMatch(/[Nn]o data|[Dd]ata is missing|without data/);
      expect(treat_missing_data).toBeDefined();
    }
  });

  test("topics hear of each alarm but the guard, and of silence where there is always data", () => {
    const signals = alarms({ topicArns: [TOPIC] });
    for (const alarm of signals.alarms) {
      const told = alarm.alarm_name.endsWith("refresh-guard") ? undefined : [TOPIC];
      expect(alarm.alarm_actions).toEqual(told);
    }
    expect(signals.alarm("no-heartbeat")).toMatchObject({ insufficient_data_actions: [TOPIC], ok_actions: [TOPIC] });
    expect(signals.alarm("boot-failed")).not.toHaveProperty("insufficient_data_actions");
  });

  test("without topics they have no actions", () => {
    for (const alarm of alarms().alarms) expect(alarm).not.toHaveProperty("alarm_actions");
  });
});

test("a refresh is guarded by an alarm that reads nothing of the group, so that the group may depend on it", () => {
  let names: readonly string[] = [];
  SynthesizedSignals.of((scope) => {
    const made = new PoolAlarms(scope, "alarms", { ...RECORDED_POOL, backlog: { kind: "control-plane" } });
    names = made.refreshAlarmNames;
  });
  expect(names).toHaveLength(1);
  expect(JSON.stringify(alarms().alarm("refresh-guard"))).not.toContain(RECORDED_POOL.asgName);
});
