import { evaluateMath, type Series } from "./metric-math";
import type { MetricKey, RecordedMetrics, StatisticName } from "./recorded-metrics";

export type AlarmState = "OK" | "ALARM" | "INSUFFICIENT_DATA";
export type MissingData = "missing" | "ignore" | "breaching" | "notBreaching";

interface Query {
  readonly id: string;
  readonly expression?: string;
  readonly return_data?: boolean;
  readonly metric?: MetricBlock;
}

interface MetricBlock {
  readonly namespace: string;
  readonly metric_name: string;
  readonly dimensions?: Readonly<Record<string, string>>;
  readonly stat: StatisticName;
  readonly period: number;
}

/** An `aws_cloudwatch_metric_alarm` as Terraform JSON has it. */
export interface SynthesizedAlarm {
  readonly alarm_name: string;
  readonly alarm_description?: string;
  readonly comparison_operator: keyof typeof COMPARISONS;
  readonly threshold: number;
  readonly evaluation_periods: number;
  readonly datapoints_to_alarm?: number;
  readonly treat_missing_data?: MissingData;
  readonly alarm_actions?: readonly string[];
  readonly metric_query?: readonly Query[];
  readonly namespace?: string;
  readonly metric_name?: string;
  readonly dimensions?: Readonly<Record<string, string>>;
  readonly statistic?: StatisticName;
  readonly period?: number;
}

const COMPARISONS = {
  GreaterThanOrEqualToThreshold: (value: number, threshold: number) => value >= threshold,
  GreaterThanThreshold: (value: number, threshold: number) => value > threshold,
  LessThanOrEqualToThreshold: (value: number, threshold: number) => value <= threshold,
  LessThanThreshold: (value: number, threshold: number) => value < threshold,
};

export interface Reading {
  /** What CloudWatch fetches beyond the evaluation periods; it says "a higher number" and not how much. */
  readonly extraPeriods: number;
  /** See `MathContext`. */
  readonly fillsEmpty: boolean;
  readonly comparesMissing: boolean;
}

/** Readings of what the documentation leaves open; what must hold, holds in each. */
export const READINGS: readonly Reading[] = [
  { extraPeriods: 2, fillsEmpty: true, comparesMissing: false },
  { extraPeriods: 2, fillsEmpty: false, comparesMissing: false },
  { extraPeriods: 2, fillsEmpty: true, comparesMissing: true },
  { extraPeriods: 10, fillsEmpty: false, comparesMissing: true },
];

/** The values an alarm looks at, at the end of minute `now`, oldest first. */
export function alarmSeries(alarm: SynthesizedAlarm, metrics: RecordedMetrics, now: number, reading: Reading): Series {
  const length = alarm.evaluation_periods + reading.extraPeriods;
  const periodSeconds = periodOf(alarm);
  const read = (metric: MetricBlock) => metrics.read(metricKey(metric), metric.stat, metric.period, now, length);
  const queries = queriesOf(alarm);
  const terms = Object.fromEntries(queries.flatMap(({ id, metric }) => (metric ? [[id, read(metric)]] : [])));
  const watched = queries.find(({ return_data }) => return_data);
  if (watched === undefined) throw new Error(`${alarm.alarm_name}: one query should have return_data`);
  return watched.expression === undefined
    ? (terms[watched.id] ?? [])
    : evaluateMath(watched.expression, { terms, periodSeconds, length, ...reading });
}

/** The alarm's period; CloudWatch demands that every metric of an expression has the same. */
export function periodOf(alarm: SynthesizedAlarm): number {
  const periods = new Set(queriesOf(alarm).flatMap(({ metric }) => metric?.period ?? []));
  const [period] = periods;
  if (period === undefined || periods.size !== 1) {
    throw new Error(`${alarm.alarm_name}: its metrics should have one period, not ${[...periods].join(", ")}`);
  }
  return period;
}

/** The state an alarm enters on a window of values. */
export function nextState(alarm: SynthesizedAlarm, window: Series, current: AlarmState): AlarmState {
  const breaches = COMPARISONS[alarm.comparison_operator];
  return decide(
    window.map((value) => (value === undefined ? undefined : breaches(value, alarm.threshold))),
    alarm.datapoints_to_alarm ?? alarm.evaluation_periods,
    alarm.evaluation_periods,
    alarm.treat_missing_data ?? "missing",
    current,
  );
}

/**
 * M out of N over the newest existing points; missing data comes in only where fewer than N exist, as few times as possible.
 *
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
 * ("How alarm state is evaluated when data is missing")
 */
export function decide(
  window: readonly (boolean | undefined)[],
  datapointsToAlarm: number,
  evaluationPeriods: number,
  missingData: MissingData,
  current: AlarmState,
): AlarmState {
  const existing = window.filter((point) => point !== undefined).slice(-evaluationPeriods);
  const breaching = existing.filter(Boolean).length;
  const absent = evaluationPeriods - existing.length;

  if (breaching >= datapointsToAlarm) return "ALARM";
  if (absent === 0) return "OK";
  switch (missingData) {
    case "breaching":
      return breaching + absent >= datapointsToAlarm ? "ALARM" : "OK";
    case "notBreaching":
      return "OK";
    case "ignore":
      return existing.length > breaching ? "OK" : current;
    case "missing": {
      if (existing.length > breaching) return "OK";
      const oldest = window.indexOf(true);
      const staleBreach = oldest >= 0 && window.length - oldest >= datapointsToAlarm;
      return staleBreach ? "ALARM" : "INSUFFICIENT_DATA";
    }
  }
}

function queriesOf(alarm: SynthesizedAlarm): readonly Query[] {
  if (alarm.metric_query !== undefined) return alarm.metric_query;
  const { namespace, metric_name, dimensions, statistic, period } = alarm;
  if (!namespace || !metric_name || !statistic || !period) {
    throw new Error(`${alarm.alarm_name}: an alarm should have a metric_query or a metric`);
  }
  const metric = { namespace, metric_name, ...(dimensions && { dimensions }), stat: statistic, period };
  return [{ id: "value", return_data: true, metric }];
}

function metricKey({ namespace, metric_name, dimensions }: MetricBlock): MetricKey {
  return { namespace, metricName: metric_name, dimensions: dimensions ?? {} };
}
