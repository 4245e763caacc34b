import {
  type Imds,
  rebalanceRecommendation,
  scheduledEvents,
  spotInterruption,
  targetLifecycleState,
} from "../host/imds";
import { type Log, reason } from "../host/log";
import { sleep, withDeadline } from "../host/waiting";
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
/** One that takes longer is read again with the others. */
const READ_MS = 1_000;

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
  const target = new Told("target lifecycle state", () => targetLifecycleState(imds), undefined, log);
  const spot = new Told("spot notice", () => spotInterruption(imds), undefined, log);
  const rebalance = new Told("rebalance recommendation", () => rebalanceRecommendation(imds), undefined, log);
  const events = new Told("scheduled events", () => scheduledEvents(imds), [], log);
  let last = NO_NOTICES;
  while (!signal.aborted) {
    progress.turn("notices", POLL_MS);
    await Promise.all([target.read(), spot.read(), rebalance.read(), events.read()]);
    const now = noticesOf(target.value, spot.value, rebalance.value, events.value, eventLeadMs);
    if (JSON.stringify(now) !== JSON.stringify(last)) {
      last = now;
      log.info("notices changed", { ...now });
      changed(now);
    }
    await sleep(POLL_MS, signal);
  }
  progress.end("notices");
}

/** What the service tells at one of its paths: as it did last while it does not, for that hides no other. */
class Told<T> {
  private wasUnreadable = false;

  constructor(
    private readonly what: string,
    private readonly ask: () => Promise<T>,
    public value: T,
    private readonly log: Log,
  ) {}

  async read(): Promise<void> {
    try {
      this.value = await withDeadline(this.what, READ_MS, this.ask);
      this.wasUnreadable = false;
    } catch (error) {
      if (!this.wasUnreadable) this.log.warn("notices not readable", { what: this.what, reason: reason(error) });
      this.wasUnreadable = true;
    }
  }
}

type Of<Read extends (imds: Imds) => Promise<unknown>> = Awaited<ReturnType<Read>>;

function noticesOf(
  target: Of<typeof targetLifecycleState>,
  spot: Of<typeof spotInterruption>,
  rebalance: Of<typeof rebalanceRecommendation>,
  events: Of<typeof scheduledEvents>,
  eventLeadMs: number,
): Notices {
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
