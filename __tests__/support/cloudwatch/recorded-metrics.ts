/** A metric's samples, minute by minute: none (null), one, or one of each emitter. */
export type Samples = readonly (number | null | readonly number[])[];

export interface MetricKey {
  readonly namespace: string;
  readonly metricName: string;
  readonly dimensions: Readonly<Record<string, string>>;
}

export type StatisticName = "Average" | "Maximum" | "Minimum" | "SampleCount" | "Sum";

/**
 * What CloudWatch holds: metrics by namespace, name and exact dimensions. A metric that was never recorded has no data, as in
 * CloudWatch, where a misspelt name is no error.
 */
export class RecordedMetrics {
  private readonly series = new Map<string, Samples>();

  /** @param lateMinutes how long after its minute a sample can be read. */
  public constructor(private readonly lateMinutes = 0) {}

  public record(metric: MetricKey, samples: Samples): this {
    this.series.set(keyOf(metric), samples);
    return this;
  }

  /** The last `periods` values of a statistic at the end of minute `now`, oldest first. */
  public read(
    metric: MetricKey,
    statistic: StatisticName,
    periodSeconds: number,
    now: number,
    periods: number,
  ): (number | undefined)[] {
    const samples = this.series.get(keyOf(metric)) ?? [];
    const minutes = periodSeconds / 60;
    const end = Math.floor((now + 1) / minutes) * minutes;
    return Array.from({ length: periods }, (_, index) => {
      const from = end - (periods - index) * minutes;
      const visible = samples.slice(
        Math.max(0, from),
        Math.max(0, Math.min(from + minutes, now + 1 - this.lateMinutes)),
      );
      return aggregate(
        statistic,
        visible.flatMap((sample) => sample ?? []),
      );
    });
  }
}

function aggregate(statistic: StatisticName, values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  const sum = values.reduce((total, value) => total + value, 0);
  switch (statistic) {
    case "Average":
      return sum / values.length;
    case "Maximum":
      return Math.max(...values);
    case "Minimum":
      return Math.min(...values);
    case "SampleCount":
      return values.length;
    case "Sum":
      return sum;
  }
}

function keyOf({ namespace, metricName, dimensions }: MetricKey): string {
  return JSON.stringify([namespace, metricName, Object.entries(dimensions).sort()]);
}
