import { CloudwatchDashboard } from "@cdktf/provider-aws/lib/cloudwatch-dashboard";
import { Construct } from "constructs";
import type { AlarmSubject } from "./alarm-definitions";
import { awsMetric } from "./aws-metrics";
import { backlogMetric } from "./backlog";
import { dashboardBody, type Graph, type Line } from "./dashboard-widgets";
import type { Statistic } from "./metric-query";
import { poolMetric, poolPrefix, type WorkerMetricName } from "./metrics";

export interface PoolDashboardProps extends AlarmSubject {
  /** The region of the metrics; a dashboard itself has none. */
  readonly region: string;
  /**
   * Alarms whose state heads the dashboard: `PoolAlarms.arns`, `PoolScaling.alarmArns`.
   * @default - none
   */
  readonly alarmArns?: readonly string[];
}

/** The dashboard of one pool, `{product}-{deployment}-{pool}`: capacity, work, workers, hosts. */
export class PoolDashboard extends Construct {
  public readonly dashboardName: string;
  public readonly arn: string;

  constructor(scope: Construct, id: string, props: PoolDashboardProps) {
    super(scope, id);
    this.dashboardName = poolPrefix(props);
    const dashboard = new CloudwatchDashboard(this, "dashboard", {
      dashboardName: this.dashboardName,
      dashboardBody: JSON.stringify(
        dashboardBody(props.region, `Alarms of ${this.dashboardName}`, props.alarmArns ?? [], poolGraphs(props)),
      ),
    });
    this.arn = dashboard.dashboardArn;
  }
}

function poolGraphs(props: AlarmSubject): Graph[] {
  const { asgName, backlog } = props;
  const worker = (name: WorkerMetricName, statistic: Statistic, label: string): Line => ({
    metric: poolMetric(props, name),
    statistic,
    label,
  });
  const group = (name: Parameters<typeof awsMetric<"AWS/AutoScaling">>[1], label: string): Line => ({
    metric: awsMetric("AWS/AutoScaling", name, asgName),
    statistic: "Maximum",
    label,
  });
  const host = (name: Parameters<typeof awsMetric<"AWS/EC2">>[1], statistic: Statistic, label: string): Line => ({
    metric: awsMetric("AWS/EC2", name, asgName),
    statistic,
    label,
  });
  const backlogLines: Line[] = [{ metric: backlogMetric(props, backlog), statistic: "Maximum", label: "waiting" }];
  if (backlog.kind === "sqs") {
    backlogLines.push({
      metric: awsMetric("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", backlog.queueName),
      statistic: "Maximum",
      label: "being worked on",
    });
  }
  const age =
    backlog.kind === "sqs"
      ? awsMetric("AWS/SQS", "ApproximateAgeOfOldestMessage", backlog.queueName)
      : poolMetric(props, "BacklogAge");

  return [
    {
      title: "Instances",
      lines: [
        group("GroupDesiredCapacity", "desired"),
        group("GroupInServiceInstances", "in service"),
        group("GroupPendingInstances", "booting"),
        group("GroupTerminatingInstances", "draining"),
        group("GroupMinSize", "minimum"),
        group("GroupMaxSize", "maximum"),
      ],
    },
    { title: "Backlog", lines: backlogLines },
    { title: "Longest wait, seconds", lines: [{ metric: age, statistic: "Maximum", label: "oldest" }] },
    {
      title: "Job slots",
      lines: [worker("SlotsUsed", "Sum", "used"), worker("SlotsFree", "Sum", "free")],
    },
    { title: "Unhealthy jobs", lines: [worker("JobsUnhealthy", "Sum", "unhealthy")] },
    { title: "Replication lag, ms", lines: [worker("ReplicationLag", "Maximum", "worst job")] },
    {
      title: "Heartbeats",
      lines: [
        worker("WorkerHeartbeat", "SampleCount", "workers heard"),
        group("GroupInServiceInstances", "instances in service"),
      ],
    },
    {
      title: "Boots that failed, instances retained",
      lines: [
        worker("BootFailed", "Sum", "failed"),
        worker("InstanceRetained", "SampleCount", "retained"),
        host("StatusCheckFailed", "Sum", "failing EC2 checks"),
      ],
    },
    { title: "Drain past its deadline, seconds", lines: [worker("DrainOverrun", "Maximum", "longest")] },
    {
      title: "CPU, percent",
      max: 100,
      lines: [
        host("CPUUtilization", "Average", "average instance"),
        host("CPUUtilization", "Maximum", "busiest instance"),
        worker("cpu_usage_active", "Average", "average, measured on the host"),
        { ...host("CPUCreditBalance", "Minimum", "lowest credit balance (burstable types)"), right: true },
      ],
    },
    {
      title: "Memory and disk, percent",
      max: 100,
      lines: [
        worker("mem_used_percent", "Maximum", "memory, fullest instance"),
        worker("disk_used_percent", "Maximum", "root volume, fullest instance"),
      ],
    },
    {
      title: "Network, bytes a minute",
      lines: [worker("net_bytes_recv", "Sum", "received"), worker("net_bytes_sent", "Sum", "sent")],
    },
  ];
}
