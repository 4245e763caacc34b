import type { Aws } from "../host/aws";
import type { Imds } from "../host/imds";
import { completeHook, prolongHook } from "../host/lifecycle-hook";
import { type Log, reason } from "../host/log";
import type { notifySystemd } from "../host/systemd";
import { sleep, withDeadline } from "../host/waiting";
import { type Progress, signOfLife, trackProgress } from "../host/watchdog";
import type { WorkerConfig } from "./config";
import { minuteOf, putMetrics } from "./metrics";
import { NO_NOTICES, type Notices, watchNotices } from "./notices";
import { keepSession, type SessionPorts, type SessionState, type WorkerDescription } from "./session";

export interface AgentPorts extends Omit<SessionPorts, "status" | "sleep" | "random"> {
  readonly aws: Aws;
  readonly imds: Imds;
  readonly log: Log;
  readonly notify: typeof notifySystemd;
  /** How often systemd expects a sign of life; undefined if it does not. */
  readonly watchdogPeriodMs: number | undefined;
}

/** A goodbye that the control plane does not hear costs it a lease's time, no more. */
const GOODBYE_TIMEOUT_MS = 10_000;

/**
 * The worker agent: registers, keeps its session, tells CloudWatch that it lives, and leaves in order when the group, EC2 or
 * systemd (`stopped`) says so.
 *
 * It runs no jobs yet: it never claims, so a drain is over as soon as it begins, and only the leaving takes time.
 */
export async function runAgent(
  config: WorkerConfig,
  worker: WorkerDescription,
  ports: AgentPorts,
  stopped: AbortSignal,
): Promise<void> {
  const { aws, imds, log, notify } = ports;
  const leaving = new AbortController();
  const state: SessionState = { draining: false, token: undefined, answeredAt: 0 };
  let notices = NO_NOTICES;

  const leave = (why: string) => {
    if (leaving.signal.aborted) return;
    log.info("leaving", { why });
    state.draining = true;
    leaving.abort();
  };
  const onStop = () => leave("asked to stop");
  stopped.addEventListener("abort", onStop);
  const onNotices = (now: Notices) => {
    notices = now;
    if (now.drain && !state.draining) log.info("draining", { source: now.drain });
    state.draining ||= now.drain !== undefined;
    if (now.terminating) leave("the group takes this instance out of service");
  };

  const progress = trackProgress();
  const status = (line: string) => notify({ status: line });
  let ready = false;
  const registered = async () => {
    await notify({ ready: !ready, status: "registered" });
    ready = true;
  };

  const live = () => {
    const sign = signOfLife(progress, !ready, ports.watchdogPeriodMs ?? 0);
    if (sign) void notify(sign);
    else log.error("no progress: the watchdog will end the agent", { loops: progress.stuck() });
  };
  const pulse = ports.watchdogPeriodMs && setInterval(live, ports.watchdogPeriodMs);
  if (pulse) live();
  const sleepInSession = (delayMs: number, signal: AbortSignal) => {
    progress.turn("session", delayMs);
    return sleep(delayMs, signal);
  };
  const session = { ...ports, status, sleep: sleepInSession, random: Math.random };

  progress.turn("session", 0);
  await Promise.all([
    watchNotices(imds, log, leaving.signal, progress, onNotices),
    keepSession(worker, state, session, leaving.signal, registered).finally(() => progress.end("session")),
    reportEachMinute(config, state, () => notices, ports, progress, leaving.signal),
  ]);
  stopped.removeEventListener("abort", onStop);

  await notify({ stopping: true, status: "leaving" });
  const hook = {
    autoScalingGroupName: config.autoScalingGroupName,
    hookName: config.terminateHookName,
    instanceId: worker.workerId,
    heartbeatTimeoutSeconds: config.terminateHookTimeoutSeconds,
  };
  const left = new AbortController();
  const waiting = notices.terminating ? prolongHook(aws, hook, log, left.signal) : undefined;
  await sayGoodbye(state, ports);
  left.abort();
  await waiting;
  if (notices.terminating) await completeHook(aws, hook, "CONTINUE", log);
  if (pulse) clearInterval(pulse);
}

async function sayGoodbye({ token }: SessionState, { controlPlane, log }: AgentPorts): Promise<void> {
  if (!token) return;
  try {
    const deregister = () => controlPlane.post("deregister", { reason: "the agent leaves" }, token);
    await withDeadline("deregister", GOODBYE_TIMEOUT_MS, deregister);
    log.info("deregistered");
  } catch (error) {
    log.warn("not deregistered", { reason: reason(error) });
  }
}

/**
 * One datapoint per metric and minute. The heartbeat is left out for a minute in which the control plane answered nothing,
 * and once the group no longer counts on the instance: its absence is what the alarm waits for.
 */
async function reportEachMinute(
  config: WorkerConfig,
  state: SessionState,
  notices: () => Notices,
  { aws, log }: AgentPorts,
  progress: Progress,
  leaving: AbortSignal,
): Promise<void> {
  for (;;) {
    const minute = minuteOf(Date.now());
    progress.turn("metrics", 60_000);
    await sleep(minute.getTime() + 60_000 - Date.now(), leaving);
    if (leaving.aborted) return progress.end("metrics");
    const alive = state.answeredAt >= minute.getTime() && notices().inService;
    const free = state.token && !state.draining ? config.slots : 0;
    const values = { ...(alive ? { WorkerHeartbeat: 1 } : {}), SlotsUsed: 0, SlotsFree: free };
    try {
      await putMetrics(aws, config, minute, values);
    } catch (error) {
      log.warn("metrics not sent", { reason: reason(error) });
    }
  }
}
