import {
  type Imds,
  rebalanceRecommendation,
  scheduledEvents,
  spotInterruption,
  targetLifecycleState,
} from "../host/imds";
import { type Log, reason } from "../host/log";
import { sleep } from "../host/waiting";
import type { Progress } from "../host/watchdog";

/** What EC2 and Auto Scaling have announced about this instance. */
export interface Notices {
  /** The group is taking the instance out of service and waits for the terminate hook. */
  readonly terminating: boolean;
  /** Why the instance should take no new work, if it should not. */
  readonly drain: "terminating" | "spot interruption" | "rebalance recommendation" | "scheduled event" | undefined;
  /** Whether the group counts on this instance: its target state is InService, or not yet set. */
  readonly inService: boolean;
  /** When EC2 takes the machine; undefined without a spot notice. */
  readonly spotTime: string | undefined;
  /** When EC2 stops, restarts or works on the machine; undefined until it is time to drain for it. */
  readonly eventTime: string | undefined;
}

export const NO_NOTICES: Notices = {
  terminating: false,
  drain: undefined,
  inService: true,
  spotTime: undefined,
  eventTime: undefined,
};

/** How often the notices are read; a claim must stop within five seconds of the first. */
const POLL_MS = 2_000;

/**
 * Reads the notices until `signal` and hands over those that differ from the last. Polling reads states, not events, so
 * the same notice seen a thousand times is one.
 *
 * @param eventLeadMs how long before a scheduled event it counts: it is announced days ahead.
 */
export async function watchNotices(
  imds: Imds,
  log: Log,
  signal: AbortSignal,
  progress: Progress,
  changed: (notices: Notices) => void,
  eventLeadMs: number,
): Promise<void> {
  let last = NO_NOTICES;
  let wasUnreadable = false;
  while (!signal.aborted) {
    progress.turn("notices", POLL_MS);
    try {
      const now = await readNotices(imds, eventLeadMs);
      wasUnreadable = false;
      if (JSON.stringify(now) !== JSON.stringify(last)) {
        last = now;
        log.info("notices changed", { ...now });
        changed(now);
      }
    } catch (error) {
      if (!wasUnreadable) log.warn("notices not readable", { reason: reason(error) });
      wasUnreadable = true;
    }
    await sleep(POLL_MS, signal);
  }
  progress.end("notices");
}

async function readNotices(imds: Imds, eventLeadMs: number): Promise<Notices> {
  const [target, spot, rebalance, events] = await Promise.all([
    targetLifecycleState(imds),
    spotInterruption(imds),
    rebalanceRecommendation(imds),
    scheduledEvents(imds),
  ]);
  const due = events.map(({ NotBefore }) => NotBefore).filter((time) => Date.parse(time) - Date.now() <= eventLeadMs);
  const [eventTime] = due.sort((a, b) => Date.parse(a) - Date.parse(b));
  const terminating = target === "Terminated";
  return {
    terminating,
    drain: terminating
      ? "terminating"
      : spot
        ? "spot interruption"
        : rebalance
          ? "rebalance recommendation"
          : eventTime
            ? "scheduled event"
            : undefined,
    inService: target === undefined || target === "InService",
    spotTime: spot?.time,
    eventTime,
  };
}
