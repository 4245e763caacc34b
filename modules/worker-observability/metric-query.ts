import type { CloudwatchMetricAlarmMetricQuery } from "@cdktf/provider-aws/lib/cloudwatch-metric-alarm";
import { Token } from "cdktf";
import type { Metric } from "./metrics";

/** A statistic CloudWatch keeps without extra cost. */
export type Statistic = "Average" | "Maximum" | "Minimum" | "SampleCount" | "Sum";

/** A metric under the id that a metric-math expression calls it by. */
export interface MathTerm {
  readonly metric: Metric;
  readonly statistic: Statistic;
}

/** A metric-math expression and the metrics it names. Ids begin with a lower-case letter. */
export interface MetricMath {
  readonly expression: string;
  readonly label: string;
  readonly terms: Readonly<Record<string, MathTerm>>;
}

/** CloudWatch evaluates at most this many metrics in one alarm, all of one period. */
export const MAX_METRICS_PER_ALARM = 10;

/** The `metric_query` blocks of an alarm on an expression; the expression, as id `value`, is what the alarm watches. */
export function alarmQueries(math: MetricMath, periodSeconds: number): CloudwatchMetricAlarmMetricQuery[] {
  const terms = Object.entries(math.terms);
  if (terms.length > MAX_METRICS_PER_ALARM) {
    throw new Error(`${math.label}: ${terms.length} metrics in one alarm should be <= ${MAX_METRICS_PER_ALARM}`);
  }
  return [
    { id: "value", expression: math.expression, label: math.label, returnData: true },
    ...terms.map(([id, { metric, statistic }]) => ({
      id,
      returnData: false,
      metric: {
        namespace: metric.namespace,
        metricName: metric.metricName,
        dimensions: { ...metric.dimensions },
        stat: statistic,
        period: periodSeconds,
      },
    })),
  ];
}

/** A number, or a number token, as text inside an expression. */
export function literal(value: number): string {
  return Token.isUnresolved(value) ? Token.asString(value) : String(value);
}
