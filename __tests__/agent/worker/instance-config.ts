import type { WorkerConfig } from "../../../agent/worker/config";

export const INSTANCE = "i-0a1b2c3d4e5f60718";

/** What a fleet writes for an instance, the least of it. */
export const INSTANCE_CONFIG: WorkerConfig = {
  deployment: "production",
  pool: "docs",
  controlPlaneUrl: "https://control.example.com",
  token: { parameterName: "/token" },
  autoScalingGroupName: "production-docs",
  launchHookName: "launch",
  launchHookTimeoutSeconds: 600,
  terminateHookName: "terminate",
  terminateHookTimeoutSeconds: 300,
  agentRelease: { bucket: "releases", keyPrefix: "worker-agent/", version: "0.2.0", sha256: "a".repeat(64) },
  drain: { mode: "handoff", deadlineSeconds: 600 },
  slots: 5,
  metricsNamespace: "ez-cdc/workers",
};
