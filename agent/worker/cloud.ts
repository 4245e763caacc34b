import type { Aws } from "../host/aws";
import type { Imds } from "../host/imds";
import { completeHook, type LifecycleHook, prolongHook } from "../host/lifecycle-hook";
import { type Log, reason } from "../host/log";
import { sleep, withDeadline } from "../host/waiting";
import type { Progress } from "../host/watchdog";
import type { WorkerConfig } from "./config";
import { type Drain, type DrainMode, type DrainSource, QUIESCE_MS } from "./drain";
import type { JobSupervisor } from "./jobs/job-supervisor";
import { minuteOf, type PublishedMetric, putMetrics } from "./metrics";
import { NO_NOTICES, type Notices, watchNotices } from "./notices";
import { scaleInProtection } from "./scale-in-protection";
import type { SessionState } from "./session";

/** The agent as what is around it sees and steers it. */
export interface AgentView {
  readonly jobs: Pick<JobSupervisor, "used" | "free" | "takeUnhealthy" | "overdue" | "takeLargestLagMs">;
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
  /** Resolves with whether the instance, which holds no job, could be protected now, as far as can be told without one. */
  isProtectable(): Promise<boolean>;
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
  /** Brings what daemons said last to where others read it. @default - nobody does */
  readonly copyLastWords?: () => Promise<void>;
}

/** What is still to be sent or copied may delay the terminate hook's completion by as long. */
const FLUSH_MS = 3_000;
const MINUTE_MS = 60_000;
/** A timer may fire a moment early. */
const EARLY_MS = 100;
/** A daemon must be gone this long before EC2 takes the machine. */
const SPOT_MARGIN_MS = 20_000;
/** Beyond the drain's own deadline, before a scheduled event. */
const EVENT_MARGIN_MS = 300_000;

/** What daemons have of the time until EC2 takes the machine; without end where it has not said that it will. */
const leftUntil = (time: string | undefined): number =>
  time === undefined ? Number.POSITIVE_INFINITY : Date.parse(time) - Date.now() - SPOT_MARGIN_MS;

export function ec2Cloud({ config, instanceId, aws, imds, log, copyLastWords }: CloudProps): Cloud {
  const hook: LifecycleHook = {
    autoScalingGroupName: config.autoScalingGroupName,
    hookName: config.terminateHookName,
    instanceId,
    heartbeatTimeoutSeconds: config.terminateHookTimeoutSeconds,
  };
  const protection = scaleInProtection(aws, config.autoScalingGroupName, instanceId, log);
  const gone = new AbortController();
  let notices = NO_NOTICES;
  let prolonging = false;
  /** The minute of which nothing was reported yet. */
  let minute = minuteOf(Date.now());
  let reporting: Promise<void> | undefined;

  const changed = (now: Notices, agent: AgentView, leaving: AbortSignal) => {
    // The machine is still there, and nothing else is announced: it may take work again, which a drained worker never does.
    if (notices.drain === "scheduled event" && !now.drain) agent.leave("scheduled event", true);
    if (now.drain && !notices.drain) void protection.giveUp(leaving);
    notices = now;
    if (now.drain) {
      const { mode, deadlineSeconds } = config.drain;
      // A scheduled event begins at its time or later: daemons have the time to come to rest, also where it was seen late.
      const leftMs = Math.min(leftUntil(now.spotTime), Math.max(QUIESCE_MS, leftUntil(now.eventTime)));
      agent.drain(now.drain, mode, Math.max(0, Math.min(deadlineSeconds * 1_000, leftMs)));
    }
    if (now.terminating) {
      if (!prolonging) void prolongHook(aws, hook, log, gone.signal);
      prolonging = true;
      agent.leave("terminating");
    }
  };

  const publish = (time: Date, values: Readonly<Partial<Record<PublishedMetric, number>>>) =>
    putMetrics(aws, config, time, values).catch((error) => log.warn("metrics not sent", { reason: reason(error) }));

  /**
   * One datapoint per metric and minute. The heartbeat is left out for a minute in which the control plane answered nothing,
   * and once the group no longer counts on the instance: its absence is what the alarm waits for.
   */
  const report = ({ jobs, session, draining }: AgentView): Promise<void> => {
    const alive = session.answeredAt >= minute.getTime() && notices.inService;
    const lagMs = jobs.takeLargestLagMs();
    return publish(minute, {
      ...(alive ? { WorkerHeartbeat: 1 } : {}),
      SlotsUsed: jobs.used,
      SlotsFree: session.token && !draining ? jobs.free : 0,
      JobsUnhealthy: jobs.takeUnhealthy(),
      ...(lagMs === undefined ? {} : { ReplicationLag: lagMs }),
      ...(draining ? { DrainOverrun: Math.max(0, (performance.now() - draining.deadlineAt) / 1_000) } : {}),
    });
  };

  /** Waits for no answer: the agent may have to leave before it comes. */
  const reportEachMinute = async (agent: AgentView, progress: Progress, leaving: AbortSignal): Promise<void> => {
    minute = minuteOf(Date.now());
    for (;;) {
      const leftMs = minute.getTime() + MINUTE_MS - Date.now();
      progress.turn("metrics", MINUTE_MS);
      // A clock that is set back leaves no more of it.
      await sleep(Math.min(MINUTE_MS, leftMs), leaving);
      if (leaving.aborted) return progress.end("metrics");
      reporting = report(agent);
      minute = minuteOf(Date.now() + EARLY_MS);
    }
  };

  /** What the end of the machine would lose. Whoever does not answer in time does not hold up the hook. */
  const flush = async (agent: AgentView): Promise<void> => {
    const pending = () => Promise.allSettled([reporting, report(agent), copyLastWords?.()]);
    await withDeadline("flush", FLUSH_MS, pending).catch((error) => log.warn("not flushed", { reason: reason(error) }));
  };

  return {
    run: async (agent, progress, leaving) => {
      await Promise.all([
        watchNotices(
          imds,
          log,
          leaving,
          progress,
          (now) => changed(now, agent, leaving),
          config.drain.deadlineSeconds * 1_000 + EVENT_MARGIN_MS,
        ),
        reportEachMinute(agent, progress, leaving),
      ]);
    },
    protect: () => protection.raise(),
    isProtectable: () => protection.isSettable(),
    unprotect: () => protection.drop(),
    left: async (agent, ended) => {
      gone.abort();
      if (!notices.terminating) return;
      await flush(agent);
      const kept = config.retainOnFailedDrain === true && agent.jobs.overdue > 0;
      await completeHook(aws, hook, kept ? "ABANDON" : "CONTINUE", log);
      while (kept && !ended.aborted) {
        const current = minuteOf(Date.now());
        await publish(current, { InstanceRetained: 1 });
        await sleep(current.getTime() + MINUTE_MS - Date.now(), ended);
      }
    },
  };
}
