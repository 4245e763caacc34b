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
  /** Statistics of periods that are over, and all of whose samples can be read. */
  private readonly settled = new Map<string, (number | undefined)[]>();

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
    const key = keyOf(metric);
    const samples = this.series.get(key) ?? [];
    const settled = this.settledOf(`${key} ${statistic} ${periodSeconds}`);
    const minutes = periodSeconds / 60;
    const end = Math.floor((now + 1) / minutes) * minutes;
    return Array.from({ length: periods }, (_, index) => {
      const from = end - (periods - index) * minutes;
      if (from < 0) return undefined;
      if (from in settled) return settled[from];
      const readable = Math.min(from + minutes, now + 1 - this.lateMinutes);
      const value = aggregate(
        statistic,
        samples.slice(from, Math.max(from, readable)).flatMap((sample) => sample ?? []),
      );
      if (readable === from + minutes) settled[from] = value;
      return value;
    });
  }

  private settledOf(key: string): (number | undefined)[] {
    const values = this.settled.get(key) ?? [];
    this.settled.set(key, values);
    return values;
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
