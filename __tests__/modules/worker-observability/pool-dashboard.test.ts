import { PoolAlarms } from "../../../modules/worker-observability/pool-alarms";
import { PoolDashboard, type PoolDashboardProps } from "../../../modules/worker-observability/pool-dashboard";
import { SynthesizedSignals } from "../../support/cloudwatch/synthesized-signals";

const POOL = {
  deployment: "production",
  pool: "docs",
  asgName: "docs-group",
  region: "us-west-2",
  backlog: { kind: "control-plane" },
} as const;

interface Widget {
  type: string;
  x: number;
  y: number;
  width: number;
  height: number;
  properties: { title: string; region?: string; period?: number; metrics?: unknown[]; alarms?: string[] };
}

function dashboard(props: Partial<PoolDashboardProps> = {}) {
  const signals = SynthesizedSignals.of((scope) => {
    const alarms = new PoolAlarms(scope, "alarms", POOL);
    new PoolDashboard(scope, "dashboard", { ...POOL, alarmArns: alarms.arns, ...props });
  });
  const [found, ...more] = signals.dashboards;
  if (found === undefined || more.length > 0) throw new Error("one dashboard should be synthesized");
  return { name: found.dashboard_name, body: JSON.parse(found.dashboard_body) as { widgets: Widget[] } };
}

test("R18: a pool has one dashboard, under its name, headed by the state of its alarms", () => {
  const { name, body } = dashboard();
  expect(name).toBe("ez-cdc-production-docs");
  expect(body.widgets[0]).toMatchObject({ type: "alarm", y: 0 });
  expect(body.widgets[0]?.properties.alarms).toHaveLength(8);
});

test("its graphs lie on the 24 columns of a dashboard and do not overlap", () => {
  const taken = new Set<string>();
  for (const { x, y, width, height } of dashboard().body.widgets) {
    expect(x + width).toBeLessThanOrEqual(24);
    for (let column = x; column < x + width; column += 1) {
      for (let row = y; row < y + height; row += 1) {
        expect(taken).not.toContain(`${column},${row}`);
        taken.add(`${column},${row}`);
      }
    }
  }
});

test("each graph names its region and shows minutes, so that sums over workers are sums", () => {
  const graphs = dashboard().body.widgets.filter(({ type }) => type === "metric");

  expect(graphs.length).toBeGreaterThan(0);
  for (const { properties } of graphs) expect(properties).toMatchObject({ region: "us-west-2", period: 60 });
});

test("the backlog is shown where it is counted", () => {
  const queued = JSON.stringify(dashboard({ backlog: { kind: "sqs", queueName: "docs-queue" } }).body);
  expect(queued).toContain('"AWS/SQS","ApproximateNumberOfMessagesVisible","QueueName","docs-queue"');
  expect(queued).not.toContain("BacklogJobs");
  expect(JSON.stringify(dashboard().body)).toContain('"BacklogJobs","Deployment","production","Pool","docs"');
});
