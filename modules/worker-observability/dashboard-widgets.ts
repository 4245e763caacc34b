import type { Statistic } from "./metric-query";
import type { Metric } from "./metrics";

/** One line of a graph. */
export interface Line {
  readonly metric: Metric;
  readonly statistic: Statistic;
  readonly label: string;
  /** Draw against the right axis. */
  readonly right?: boolean;
}

/** One graph, a third of the dashboard's width. */
export interface Graph {
  readonly title: string;
  readonly lines: readonly Line[];
  /** Largest value of the left axis, where the unit has one. */
  readonly max?: number;
}

const COLUMNS = 24;
const GRAPH = { width: COLUMNS / 3, height: 6 };

/**
 * A dashboard body: the alarms' states on top, then the graphs in rows of three. Every point is a minute whatever the time range,
 * because sums over workers mean nothing over another period.
 *
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
 */
export function dashboardBody(region: string, title: string, alarmArns: readonly string[], graphs: readonly Graph[]) {
  const alarmsHeight = 2 + Math.ceil(alarmArns.length / 4);
  return {
    periodOverride: "inherit",
    widgets: [
      {
        type: "alarm",
        x: 0,
        y: 0,
        width: COLUMNS,
        height: alarmsHeight,
        properties: { title, alarms: [...alarmArns] },
      },
      ...graphs.map(({ title, lines, max }, index) => ({
        type: "metric",
        x: (index % 3) * GRAPH.width,
        y: alarmsHeight + Math.floor(index / 3) * GRAPH.height,
        ...GRAPH,
        properties: {
          title,
          region,
          view: "timeSeries",
          period: 60,
          yAxis: { left: { min: 0, ...(max !== undefined && { max }) } },
          metrics: lines.map(({ metric, statistic, label, right }) => [
            metric.namespace,
            metric.metricName,
            ...Object.entries(metric.dimensions).flat(),
            { stat: statistic, label, ...(right && { yAxis: "right" }) },
          ]),
        },
      })),
    ],
  };
}
