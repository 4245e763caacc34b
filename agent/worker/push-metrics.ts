import { type Log, reason } from "../host/log";
import { sleep } from "../host/waiting";
import type { ControlPlaneClient } from "./control-plane-client";
import { cpuMeter } from "./cpu-meter";
import { retryAfterMs } from "./heartbeats";
import type { JobSupervisor } from "./jobs/job-supervisor";
import type { SessionState } from "./session";

export interface PushMetricsProps {
  readonly controlPlane: ControlPlaneClient;
  readonly jobs: Pick<JobSupervisor, "metrics">;
  readonly session: Pick<SessionState, "token" | "open">;
  readonly everyMs: () => number;
  readonly log: Log;
}

/** Tells the control plane the figures of all jobs and of the agent itself, until `leaving`; later where it asks to wait. */
export async function pushMetrics(
  { controlPlane, jobs, session, everyMs, log }: PushMetricsProps,
  leaving: AbortSignal,
): Promise<void> {
  const cpuMillicores = cpuMeter();
  let waitMs = 0;
  for (;;) {
    await sleep(Math.max(everyMs(), waitMs), leaving);
    waitMs = 0;
    if (leaving.aborted) return;
    if (!session.open || !session.token) continue;
    const host = { memoryBytes: process.memoryUsage.rss(), cpuMillicores: cpuMillicores() };
    try {
      const message = { jobs: await jobs.metrics(), host };
      await controlPlane.post("metrics", message, session.token, { signal: leaving });
    } catch (error) {
      waitMs = retryAfterMs(error);
      log.warn("figures not pushed", { reason: reason(error) });
    }
  }
}
