import { DEFAULT_PRODUCT, type PoolIdentity, workerNamespace } from "./metrics";
import type { LogKind } from "./worker-logs";

export interface CloudWatchAgentConfigProps extends PoolIdentity {
  /** Names of the groups that {@link WorkerLogs} creates. */
  readonly logGroups: Readonly<Record<LogKind, string>>;
  /**
   * The worker agent's log.
   * @default "/var/log/holdfast/worker-agent.log"
   */
  readonly agentLog?: string;
  /**
   * Matches one log per job.
   * @default "/var/log/holdfast-jobs/dbmazz-*.log"
   */
  readonly jobLogs?: string;
  /**
   * The bootstrap's log.
   * @default "/var/log/holdfast/bootstrap.log"
   */
  readonly bootstrapLog?: string;
  /**
   * Interfaces whose traffic counts; those an instance lacks are ignored. Nitro calls the first one ens5, Xen enX0 or eth0.
   * @default ["ens5", "enX0", "eth0"]
   */
  readonly networkInterfaces?: readonly string[];
}

/**
 * The configuration file of amazon-cloudwatch-agent on a worker, as plain data; write it with JSON.stringify.
 *
 * Metrics carry Deployment and Pool and are aggregated over them; memory and disk, which EC2 does not measure, are also kept
 * per instance. The log groups exist already, so nothing here asks for retention. `${aws:InstanceId}` is the agent's own
 * placeholder: escape it (`$${aws:InstanceId}`) where Terraform reads the text as a template.
 *
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-Configuration-File-Details.html
 */
export function cloudWatchAgentConfig(props: CloudWatchAgentConfigProps) {
  const { product = DEFAULT_PRODUCT, deployment, pool, logGroups } = props;
  const { agentLog = "/var/log/holdfast/worker-agent.log", jobLogs = "/var/log/holdfast-jobs/dbmazz-*.log" } = props;
  const { bootstrapLog = "/var/log/holdfast/bootstrap.log", networkInterfaces = ["ens5", "enX0", "eth0"] } = props;
  const ownLog = "/opt/aws/amazon-cloudwatch-agent/logs/amazon-cloudwatch-agent.log";

  const collected = (kind: LogKind, path: string) => ({
    file_path: path,
    log_group_name: logGroups[kind],
    log_stream_name: `{instance_id}/${path.slice(path.lastIndexOf("/") + 1)}`,
    timezone: "UTC",
  });
  const append_dimensions = { Deployment: deployment, Pool: pool };

  return {
    agent: { metrics_collection_interval: 60, logfile: ownLog },
    metrics: {
      namespace: workerNamespace(product),
      append_dimensions: { InstanceId: "${aws:InstanceId}" },
      aggregation_dimensions: [["Deployment", "Pool"]],
      metrics_collected: {
        cpu: {
          measurement: ["usage_active"],
          totalcpu: true,
          drop_original_metrics: ["cpu_usage_active"],
          append_dimensions,
        },
        mem: { measurement: ["used_percent"], append_dimensions },
        disk: { measurement: ["used_percent"], resources: ["/"], drop_device: true, append_dimensions },
        net: {
          measurement: ["bytes_recv", "bytes_sent"],
          resources: [...networkInterfaces],
          drop_original_metrics: ["net_bytes_recv", "net_bytes_sent"],
          append_dimensions,
        },
      },
    },
    logs: {
      force_flush_interval: 5,
      logs_collected: {
        files: {
          collect_list: [
            collected("agent", agentLog),
            // One stream per matching file, named "<log_stream_name>_<path with / as _>": it ends in "dbmazz-<job>.log".
            { ...collected("jobs", jobLogs), log_stream_name: "{instance_id}/job", publish_multi_logs: true },
            collected("system", bootstrapLog),
            collected("system", "/var/log/cloud-init-output.log"),
            collected("system", ownLog),
          ],
        },
      },
    },
  };
}
