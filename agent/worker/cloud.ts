import type { Aws } from "../host/aws";
import type { Imds } from "../host/imds";
import { completeHook, type LifecycleHook, prolongHook } from "../host/lifecycle-hook";
import { type Log, reason } from "../host/log";
import { sleep } from "../host/waiting";
import type { Progress } from "../host/watchdog";
import type { WorkerConfig } from "./config";
import type { Drain, DrainMode, DrainSource } from "./drain";
import type { JobSupervisor } from "./jobs/job-supervisor";
import { minuteOf, putMetrics } from "./metrics";
import { NO_NOTICES, type Notices, watchNotices } from "./notices";
import { scaleInProtection } from "./scale-in-protection";
import type { SessionState } from "./session";

/** The agent as what is around it sees and steers it. */
export interface AgentView {
  readonly jobs: Pick<JobSupervisor, "used" | "free" | "unhealthy" | "overdue" | "takeLargestLagMs">;
  readonly session: Pick<SessionState, "token" | "answeredAt">;
  readonly draining: Drain | undefined;
  /** Lets every job go within the time and stays. */
  drain(source: DrainSource, mode: DrainMode, deadlineMs: number): void;
  /** Lets every job go and ends; with `again` for a next life that starts anew. */
  leave(source: DrainSource, again?: boolean): void;
}

/** EC2 and Auto Scaling around a worker. */
export interface Cloud {
  /** Watches and reports until `leaving`. */
  run(agent: AgentView, progress: Progress, leaving: AbortSignal): Promise<void>;
  /** Resolves once the instance is protected from scale-in; false when it could not be, and so may not hold a job. */
  protect(): Promise<boolean>;
  /** The worker holds no job: the group may take it. */
  unprotect(): Promise<void>;
  /**
   * Everything is let go and said: the group may go on. Where the group keeps an instance whose drain failed, and this one's has,
   * it stays until `ended` and says so.
   */
  left(agent: AgentView, ended: AbortSignal): Promise<void>;
}

export interface CloudProps {
  readonly config: WorkerConfig;
  readonly instanceId: string;
  readonly aws: Aws;
  readonly imds: Imds;
  readonly log: Log;
}

/** A daemon must be gone this long before EC2 takes the machine. */
const SPOT_MARGIN_MS = 20_000;
/** Beyond the drain's own deadline, before a scheduled event. */
const EVENT_MARGIN_MS = 300_000;

export function ec2Cloud({ config, instanceId, aws, imds, log }: CloudProps): Cloud {
  const hook: LifecycleHook = {
    autoScalingGroupName: config.autoScalingGroupName,
    hookName: config.terminateHookName,
    instanceId,
    heartbeatTimeoutSeconds: config.terminateHookTimeoutSeconds,
  };
  const protection = scaleInProtection(aws, config.autoScalingGroupName, instanceId, log);
  const gone = new AbortController();
  let notices = NO_NOTICES;
  let prolonging: Promise<void> | undefined;

  const changed = (now: Notices, agent: AgentView) => {
    // The machine is still there, and nothing else is announced: it may take work again, which a drained worker never does.
    if (notices.drain === "scheduled event" && !now.drain) agent.leave("scheduled event", true);
    notices = now;
    if (now.drain) {
      void protection.drop();
      const { mode, deadlineSeconds } = config.drain;
      const ends = [now.spotTime, now.eventTime].flatMap((time) => (time === undefined ? [] : [Date.parse(time)]));
      const leftMs = Math.min(...ends) - Date.now() - SPOT_MARGIN_MS;
      agent.drain(now.drain, mode, Math.max(0, Math.min(deadlineSeconds * 1_000, leftMs)));
    }
    if (now.terminating) {
      prolonging ??= prolongHook(aws, hook, log, gone.signal);
      agent.leave("terminating");
    }
  };

  /**
   * One datapoint per metric and minute. The heartbeat is left out for a minute in which the control plane answered nothing,
   * and once the group no longer counts on the instance: its absence is what the alarm waits for.
   */
  const reportEachMinute = async (agent: AgentView, progress: Progress, leaving: AbortSignal): Promise<void> => {
    for (;;) {
      const minute = minuteOf(Date.now());
      progress.turn("metrics", 60_000);
      await sleep(minute.getTime() + 60_000 - Date.now(), leaving);
      if (leaving.aborted) return progress.end("metrics");
      const { jobs, session, draining } = agent;
      const alive = session.answeredAt >= minute.getTime() && notices.inService;
      const lagMs = jobs.takeLargestLagMs();
      const values = {
        ...(alive ? { WorkerHeartbeat: 1 } : {}),
        SlotsUsed: jobs.used,
        SlotsFree: session.token && !draining ? jobs.free : 0,
        JobsUnhealthy: jobs.unhealthy,
        ...(lagMs === undefined ? {} : { ReplicationLag: lagMs }),
        ...(draining ? { DrainOverrun: Math.max(0, (performance.now() - draining.deadlineAt) / 1_000) } : {}),
      };
      try {
        await putMetrics(aws, config, minute, values);
      } catch (error) {
        log.warn("metrics not sent", { reason: reason(error) });
      }
    }
  };

  return {
    run: async (agent, progress, leaving) => {
      await Promise.all([
        watchNotices(
          imds,
          log,
          leaving,
          progress,
          (now) => changed(now, agent),
          config.drain.deadlineSeconds * 1_000 + EVENT_MARGIN_MS,
        ),
        reportEachMinute(agent, progress, leaving),
      ]);
    },
    protect: () => protection.raise(),
    unprotect: () => protection.drop(),
    left: async ({ jobs }, ended) => {
      gone.abort();
      await prolonging;
      if (!notices.terminating) return;
      const kept = config.retainOnFailedDrain === true && jobs.overdue > 0;
      await completeHook(aws, hook, kept ? "ABANDON" : "CONTINUE", log);
      while (kept && !ended.aborted) {
        const minute = minuteOf(Date.now());
        await putMetrics(aws, config, minute, { InstanceRetained: 1 }).catch((error) => {
          log.warn("metrics not sent", { reason: reason(error) });
        });
        await sleep(minute.getTime() + 60_000 - Date.now(), ended);
      }
    },
  };
}
