/**
 * The states of a job and every way from one to another, as a pure function.
 *
 *   created ─start─▶ pending ─claim─▶ starting ─started─▶ running ─report─▶ completed | failed | pending (retry)
 *                       ▲  ▲──ungrant / lost / release──┘    │
 *                       └──────────── lost / release ────────┘      pause, stop, delete: at once, or when the holder lets go
 */
import { longestRetryMs } from "../protocol/retry-delay";

export type JobState =
  | "created"
  | "pending"
  | "starting"
  | "running"
  | "paused"
  | "stopped"
  | "failed"
  | "completed"
  | "deleted";

/** What the operator wants of a job. */
export type Desired = "run" | "pause" | "stop" | "delete";

/** One claim of a job: no two claims of a job have the same fence. */
export interface Holder {
  readonly session: string;
  readonly fence: number;
}

export interface Job {
  readonly state: JobState;
  readonly desired: Desired;
  /** That of the newest claim; 0 before the first. */
  readonly fence: number;
  /** The session that holds the job: set in `starting` and `running`, null otherwise. */
  readonly session: string | null;
  /** Who reported the job's last end, so that a repeated report is told from a stale one. */
  readonly reported: Holder | null;
  /** Failures since the last checkpoint. */
  readonly failures: number;
  readonly maxRetries: number;
  readonly onDisconnect: "stop" | "keep";
}

/** A job at rest that nobody has held. */
export function newJob(settings: Pick<Job, "maxRetries" | "onDisconnect">): Job {
  return { state: "created", desired: "run", fence: 0, session: null, reported: null, failures: 0, ...settings };
}

export type JobEvent =
  | { readonly type: "claim"; readonly session: string }
  | { readonly type: "started" | "release"; readonly by: Holder }
  | { readonly type: "report"; readonly by: Holder; readonly outcome: "completed" | "stopped" | "failed" }
  /** The grant was not taken up in time, or never reached the worker. */
  | { readonly type: "ungrant"; readonly by: Holder }
  /** The holder's lease ran out: its daemon is gone if it stops on disconnection, and may be alive if it is kept. */
  | { readonly type: "lost" }
  /** The holder's worker opened another session: the daemon is still alive, or certainly is not. */
  | { readonly type: "adopt"; readonly session: string }
  | { readonly type: "gone" }
  | { readonly type: Desired };

/** `fenced`: the speaker does not hold the job. `conflict`: the job's state does not allow it. */
export type Refused = "fenced" | "conflict";

/** The job after an event, or why the event changes nothing. An event that is repeated gives the job unchanged. */
export function transition(job: Job, event: JobEvent): Job | Refused {
  switch (event.type) {
    case "claim":
      return job.state === "pending"
        ? { ...job, state: "starting", session: event.session, fence: job.fence + 1 }
        : "conflict";
    case "started":
      if (!holds(job, event.by)) return "fenced";
      if (job.state === "running") return job;
      return job.desired === "run" ? { ...job, state: "running" } : "conflict";
    case "ungrant":
      return holds(job, event.by) && job.state === "starting" ? letGo(job) : "conflict";
    case "release":
      return holds(job, event.by) ? letGo(job) : "fenced";
    case "report":
      if (wasReportedBy(job, event.by)) return job;
      return holds(job, event.by) ? ended({ ...job, reported: event.by }, event.outcome) : "fenced";
    case "lost":
      return job.state === "running" && job.onDisconnect === "keep" ? job : whenHeld(job, letGo);
    case "gone":
      return whenHeld(job, letGo);
    case "adopt":
      return whenHeld(job, (held) => ({ ...held, session: event.session }));
    default:
      return wish(job, event.type);
  }
}

/** Whether a worker has the job now: no other may run it. */
export function isHeld(job: Job): boolean {
  return job.session !== null;
}

function holds(job: Job, by: Holder): boolean {
  return job.session === by.session && job.fence === by.fence;
}

function wasReportedBy(job: Job, by: Holder): boolean {
  return job.reported?.session === by.session && job.reported.fence === by.fence;
}

function whenHeld(job: Job, change: (job: Job) => Job): Job | Refused {
  return isHeld(job) ? change(job) : "conflict";
}

const AT_REST: Readonly<Record<Desired, JobState>> = {
  run: "pending",
  pause: "paused",
  stop: "stopped",
  delete: "deleted",
};

function letGo(job: Job): Job {
  return { ...job, session: null, state: AT_REST[job.desired] };
}

function ended(job: Job, outcome: "completed" | "stopped" | "failed"): Job {
  const free = letGo(job);
  if (outcome === "stopped" || job.desired === "delete") return free;
  if (outcome === "completed") return { ...free, state: "completed" };
  const failures = job.failures + 1;
  const spent = job.desired === "run" && failures > job.maxRetries;
  return { ...free, failures, state: spent ? "failed" : free.state };
}

/** What each wish needs the job to be when nobody holds it. An ended job stays as it is until it is run again or deleted. */
const FROM: Readonly<Record<Desired, readonly JobState[]>> = {
  run: ["created", "pending", "paused", "stopped", "failed", "completed"],
  pause: ["created", "pending", "paused"],
  stop: ["created", "pending", "paused", "stopped", "failed"],
  delete: ["created", "pending", "paused", "stopped", "failed", "completed", "deleted"],
};

function wish(job: Job, desired: Desired): Job | Refused {
  if (isHeld(job)) return job.desired === "delete" && desired !== "delete" ? "conflict" : { ...job, desired };
  if (!FROM[desired].includes(job.state)) return "conflict";
  return { ...job, desired, state: AT_REST[desired], failures: desired === "run" ? 0 : job.failures };
}

/** How long a failed job waits before its next attempt: one second at least, five minutes at most, doubling, half of it random. */
export function retryDelayMs(failures: number, random: () => number): number {
  const ceiling = longestRetryMs(failures);
  return Math.round(ceiling / 2 + (ceiling / 2) * random());
}
