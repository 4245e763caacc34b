import { execFileSync } from "node:child_process";
import type { WorkerUserDataProps } from "../../modules/user-data/worker-user-data";

/** What cloud-init makes of user data: Python's gzip module, which reads all members. */
export function unpacked(base64: string): string {
  const unpack =
    "import gzip,sys,base64;sys.stdout.write(gzip.decompress(base64.b64decode(sys.stdin.read())).decode())";
  return execFileSync("python3", ["-c", unpack], { input: base64, encoding: "utf8" });
}

/** The content of a file that the document writes. */
export function fileIn(document: string, path: string): string {
  const start = `cat >${path} <<'@end-of-file@'\n`;
  const from = document.indexOf(start);
  if (from < 0) throw new Error(`the document writes no ${path}`);
  return document.slice(from + start.length, document.indexOf("\n@end-of-file@\n", from));
}

export const SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:ez-cdc/production-AbCdEf";

type ControlledWorker = Extract<WorkerUserDataProps, { readonly controlPlaneUrl: string }>;

export const MINIMAL_WORKER: ControlledWorker = {
  deployment: "production",
  pool: "docs",
  controlPlaneUrl: "https://control.example.com",
  token: { secretArn: SECRET_ARN },
  autoScalingGroupName: "production-docs",
  launchHook: { name: "launch", heartbeatTimeoutSeconds: 600 },
  terminateHook: { name: "terminate", heartbeatTimeoutSeconds: 300 },
  drain: { mode: "handoff", deadlineSeconds: 600 },
  agentRelease: { bucket: "ez-cdc-releases", region: "us-west-2", keyPrefix: "worker-agent/" },
  slots: 5,
  metricsNamespace: "ez-cdc/workers",
};

/** As `openssl pkey -pubout` writes an Ed25519 key. */
export const RELEASE_KEY =
  "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

/** Every option in use, each with a value of realistic size. */
export const MAXIMAL_WORKER: ControlledWorker = {
  ...MINIMAL_WORKER,
  daemonRelease: {
    bucket: "ez-cdc-releases",
    region: "us-west-2",
    keyPrefix: "dbmazz/",
    version: "2.4.0",
    sha256: {
      x86_64: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
      arm64: "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
    },
  },
  upgrade: { releaseKey: RELEASE_KEY, gateSeconds: 60 },
  labels: { tier: "production", region: "us-east-1", team: "data-platform", content: "docs", network: "private" },
  cloudWatchAgent: cloudWatchAgent(),
  proxy: { url: "http://proxy.internal.example.com:3128", exceptions: [".internal.example.com", "10.0.0.0/8"] },
  caCertificates: pem(2),
  hooks: {
    beforeInstall: "sysctl -w net.ipv4.tcp_keepalive_time=120\nmkdir -p /data\n",
    afterInstall: "dnf install -qy htop\nsystemctl disable --now postfix || true\n",
  },
};

function cloudWatchAgent() {
  const collected = (group: string, path: string) => ({
    file_path: path,
    log_group_name: `/ez-cdc/workers/production/${group}`,
    log_stream_name: `{instance_id}/${path.slice(path.lastIndexOf("/") + 1)}`,
    timezone: "UTC",
  });
  const append_dimensions = { Deployment: "production", Pool: "docs" };
  return {
    agent: { metrics_collection_interval: 60, logfile: "/opt/aws/amazon-cloudwatch-agent/logs/agent.log" },
    metrics: {
      namespace: "ez-cdc/workers",
      append_dimensions: { InstanceId: "${aws:InstanceId}" },
      aggregation_dimensions: [["Deployment", "Pool"]],
      metrics_collected: {
        cpu: { measurement: ["usage_active"], totalcpu: true, drop_original_metrics: ["a"], append_dimensions },
        mem: { measurement: ["used_percent"], append_dimensions },
        disk: { measurement: ["used_percent"], resources: ["/"], drop_device: true, append_dimensions },
        net: { measurement: ["bytes_recv", "bytes_sent"], resources: ["ens5", "enX0", "eth0"], append_dimensions },
      },
    },
    logs: {
      force_flush_interval: 5,
      logs_collected: {
        files: {
          collect_list: [
            collected("agent", "/var/log/holdfast/worker-agent.log"),
            { ...collected("jobs", "/var/log/holdfast-jobs/dbmazz-*.log"), publish_multi_logs: true },
            collected("system", "/var/log/holdfast/bootstrap.log"),
            collected("system", "/var/log/cloud-init-output.log"),
          ],
        },
      },
    },
  };
}

/** Bytes that do not compress, as certificates do not. */
function pem(certificates: number): string {
  let state = 1;
  const line = () =>
    Array.from({ length: 64 }, () => {
      state = (state * 48_271) % 2_147_483_647;
      return "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[state % 64];
    }).join("");
  const one = () => ["-----BEGIN CERTIFICATE-----", ...Array.from({ length: 18 }, line), "-----END CERTIFICATE-----"];
  return Array.from({ length: certificates }, one).flat().join("\n");
}
