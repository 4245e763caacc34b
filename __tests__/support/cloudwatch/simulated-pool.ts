import { type AlarmState, alarmSeries, nextState, type Reading, type SynthesizedAlarm } from "./alarm";
import { RecordedMetrics } from "./recorded-metrics";
import { pooledMetric } from "./recorded-pool";
import { requestedCapacity } from "./scaling-policy";
import type { SynthesizedSignals } from "./synthesized-signals";

export interface SimulatedPool {
  readonly signals: SynthesizedSignals;
  readonly reading: Reading;
  readonly minutes: number;
  readonly maxSize: number;
  readonly slots: number;
  readonly bootMinutes: number;
  readonly drainMinutes: number;
  /** Jobs that exist in a minute: more than before wait to be claimed, fewer end where the most run. */
  readonly jobs: (minute: number) => number;
}

export interface SimulatedMinute {
  readonly desired: number;
  readonly inService: number;
  readonly waiting: number;
}

interface Worker {
  readonly inServiceAt: number;
  jobs: number;
}

const NAMES = [
  "GroupDesiredCapacity",
  "GroupInServiceInstances",
  "CPUUtilization",
  "SlotsFree",
  "BacklogJobs",
] as const;

/**
 * Runs a pool against its own synthesized alarms and policies: what they decide changes the metrics they then read. A worker claims
 * what waits as soon as it is in service; one that leaves hands its jobs back.
 */
export function simulate(pool: SimulatedPool): SimulatedMinute[] {
  const samples = Object.fromEntries(NAMES.map((name) => [name, [] as (number | null | number[])[]]));
  const metrics = new RecordedMetrics();
  for (const [name, recorded] of Object.entries(samples)) metrics.record(pooledMetric(name), recorded);
  const states = new Map<string, AlarmState>();
  let workers: Worker[] = [];
  let desired = 0;
  let waiting = 0;
  let leavesUntil = 0;

  const serving = (now: number) => workers.filter(({ inServiceAt }) => inServiceAt <= now);

  const work = (now: number) => {
    const running = workers.reduce((sum, { jobs }) => sum + jobs, 0);
    let change = pool.jobs(now) - running - waiting;
    waiting += Math.max(0, change);
    for (; change < 0; change += 1) {
      const busiest = workers.reduce<Worker | undefined>(
        (most, one) => ((most?.jobs ?? 0) < one.jobs ? one : most),
        undefined,
      );
      if (busiest === undefined) waiting -= 1;
      else busiest.jobs -= 1;
    }
    for (const worker of serving(now)) {
      const claimed = Math.min(waiting, pool.slots - worker.jobs);
      worker.jobs += claimed;
      waiting -= claimed;
    }
  };

  const publish = (now: number) => {
    const up = serving(now);
    const minute: Record<(typeof NAMES)[number], number | null | number[]> = {
      GroupDesiredCapacity: desired,
      GroupInServiceInstances: up.length,
      CPUUtilization: up.length === 0 || now % 5 !== 0 ? null : up.map(({ jobs }) => 1 + (14 * jobs) / pool.slots),
      SlotsFree: up.map(({ jobs }) => pool.slots - jobs),
      BacklogJobs: waiting,
    };
    for (const name of NAMES) samples[name]?.push(minute[name]);
  };

  const scale = (alarm: SynthesizedAlarm, now: number) => {
    const window = alarmSeries(alarm, metrics, now, pool.reading);
    const state = nextState(alarm, window, states.get(alarm.alarm_name) ?? "INSUFFICIENT_DATA");
    states.set(alarm.alarm_name, state);
    if (state !== "ALARM") return;
    const policy = pool.signals.policyOf(alarm);
    const warmup = (policy.estimated_instance_warmup ?? 0) / 60;
    const value = Math.max(
      ...window.slice(-alarm.evaluation_periods).map((point) => point ?? Number.NEGATIVE_INFINITY),
    );
    desired = requestedCapacity(
      policy,
      value,
      alarm.threshold,
      {
        minSize: 0,
        maxSize: pool.maxSize,
        desired,
        warming: workers.filter(({ inServiceAt }) => now < inServiceAt + warmup).length,
        activityInProgress: now < leavesUntil || workers.some(({ inServiceAt }) => inServiceAt > now),
        lastActivityEnd: leavesUntil,
      },
      now,
    );
  };

  const follow = (now: number) => {
    while (workers.length < desired) workers = [...workers, { inServiceAt: now + pool.bootMinutes, jobs: 0 }];
    while (workers.length > desired) {
      const [leaving, ...staying] = [...workers].sort((a, b) => a.jobs - b.jobs);
      waiting += leaving?.jobs ?? 0;
      workers = staying;
      leavesUntil = now + pool.drainMinutes;
    }
  };

  return Array.from({ length: pool.minutes }, (_, now) => {
    work(now);
    publish(now);
    for (const alarm of pool.signals.alarms) scale(alarm, now);
    follow(now);
    return { desired, inService: serving(now).length, waiting };
  });
}
