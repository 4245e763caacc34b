/**
 * The control plane's half of the lease protocol in memory: what the simulator runs and what the PostgreSQL store is
 * compared with. Time is the server's own, in milliseconds; nothing a worker says about time is believed.
 */
import { isSameRef } from "../protocol/job-ref";
import { type Holder, type Job, type JobEvent, type Refused, transition } from "./job";
import { grantLastsMs, type LeaseTiming } from "./timing";

export interface Session {
  readonly id: string;
  readonly workerId: string;
  /** Order of registration: of a worker's sessions only the newest that was opened counts. */
  readonly epoch: number;
  readonly state: "registered" | "open" | "closed";
  readonly expiresAtMs: number;
}

export interface Coordinator {
  readonly timing: LeaseTiming;
  readonly jobs: Map<string, Job>;
  readonly sessions: Map<string, Session>;
  /** Unstarted grants: when each expires. */
  readonly grants: Map<string, number>;
  /** The control plane has been up since then; leases are not judged before a whole one has passed. */
  upSinceMs: number;
  lastEpoch: number;
}

export interface Ref {
  readonly jobId: string;
  readonly fence: number;
}

export interface Beat {
  readonly running: readonly Ref[];
  readonly released: readonly Ref[];
  /** The worker takes nothing up any more: what it was granted and does not list it never heard of. @default false */
  readonly draining?: boolean;
}

export interface Orders {
  /** Daemons that are not this worker's: to be killed. */
  readonly kill: readonly Ref[];
  /** Daemons the operator wants at rest: to be quiesced and reported or released. */
  readonly quiesce: readonly Ref[];
}

export type Closed = "session_closed";

/** Why nothing changed; undefined where something did, or had before. */
export type Told = Refused | undefined;

export function newCoordinator(timing: LeaseTiming, nowMs: number): Coordinator {
  return { timing, jobs: new Map(), sessions: new Map(), grants: new Map(), upSinceMs: nowMs, lastEpoch: 0 };
}

/** Notes that a session was asked for. Nothing else changes until its first heartbeat. */
export function register(state: Coordinator, sessionId: string, workerId: string): "registered" | Closed {
  const known = state.sessions.get(sessionId);
  if (known) return known.state === "closed" ? "session_closed" : "registered";
  state.lastEpoch += 1;
  state.sessions.set(sessionId, {
    id: sessionId,
    workerId,
    epoch: state.lastEpoch,
    state: "registered",
    expiresAtMs: Number.NEGATIVE_INFINITY,
  });
  return "registered";
}

export function heartbeat(state: Coordinator, nowMs: number, sessionId: string, beat: Beat): Orders | Closed {
  const session = state.sessions.get(sessionId);
  if (!session || session.state === "closed") return "session_closed";
  if (session.state === "registered" && !open(state, session, beat)) return "session_closed";
  state.sessions.set(sessionId, { ...session, state: "open", expiresAtMs: nowMs + state.timing.serverLeaseMs });
  for (const ref of beat.released) apply(state, ref.jobId, { type: "release", by: { session: sessionId, ...ref } });
  for (const [jobId, { fence }] of beat.draining ? heldBy(state, sessionId) : []) {
    if (beat.running.some((ref) => isSameRef(ref, { jobId, fence }))) continue;
    apply(state, jobId, { type: "ungrant", by: { session: sessionId, fence } });
  }
  return orders(state, sessionId, beat.running);
}

/** Closes the worker's sessions before; their jobs go to this one if their daemons live, and are free otherwise. */
function open(state: Coordinator, session: Session, beat: Beat): boolean {
  const others = [...state.sessions.values()].filter(
    ({ workerId, id }) => workerId === session.workerId && id !== session.id,
  );
  if (others.some(({ epoch, state: other }) => epoch > session.epoch && other !== "registered")) {
    state.sessions.set(session.id, { ...session, state: "closed" });
    return false;
  }
  for (const other of others.filter(({ epoch }) => epoch < session.epoch)) {
    state.sessions.set(other.id, { ...other, state: "closed" });
    for (const [jobId, job] of heldBy(state, other.id)) {
      const alive = beat.running.some((ref) => isSameRef(ref, { jobId, fence: job.fence }));
      apply(state, jobId, alive && job.state === "running" ? { type: "adopt", session: session.id } : { type: "gone" });
    }
  }
  return true;
}

function orders(state: Coordinator, session: string, running: readonly Ref[]): Orders {
  const kill: Ref[] = [];
  const quiesce: Ref[] = [];
  for (const ref of running) {
    const job = state.jobs.get(ref.jobId);
    if (job?.session !== session || job.fence !== ref.fence) kill.push(ref);
    else if (job.desired !== "run") quiesce.push(ref);
  }
  return { kill, quiesce };
}

/** Gives at most `slots` pending jobs to a session whose lease is valid. */
export function claim(state: Coordinator, nowMs: number, sessionId: string, slots: number): Ref[] | Closed {
  const session = state.sessions.get(sessionId);
  if (!session || session.state === "closed") return "session_closed";
  if (session.expiresAtMs <= nowMs) return [];
  const grants: Ref[] = [];
  for (const [jobId, job] of state.jobs) {
    if (grants.length === slots) break;
    if (job.state !== "pending") continue;
    apply(state, jobId, { type: "claim", session: sessionId });
    state.grants.set(jobId, nowMs + grantLastsMs(state.timing));
    grants.push({ jobId, fence: job.fence + 1 });
  }
  return grants;
}

/** Whether a granted job's daemon may be spawned. A session whose lease ran out may start nothing. */
export function started(state: Coordinator, nowMs: number, by: Holder, jobId: string): "started" | Refused | Closed {
  const session = state.sessions.get(by.session);
  if (session?.state !== "open") return "session_closed";
  if (session.expiresAtMs <= nowMs) return "fenced";
  return apply(state, jobId, { type: "started", by }) ?? "started";
}

/** A terminal report, a release, or an undelivered grant. */
export function tell(state: Coordinator, jobId: string, event: JobEvent): Told {
  return apply(state, jobId, event);
}

/** Ends a session whose daemons are all gone; what it held is free at once. */
export function deregister(state: Coordinator, sessionId: string): void {
  const session = state.sessions.get(sessionId);
  if (!session || session.state === "closed") return;
  state.sessions.set(sessionId, { ...session, state: "closed" });
  for (const [jobId] of heldBy(state, sessionId)) apply(state, jobId, { type: "gone" });
}

/** Takes jobs from sessions whose lease ran out, and grants that nobody took up. Gives the ids of the jobs that moved. */
export function sweep(state: Coordinator, nowMs: number): string[] {
  const moved: string[] = [];
  for (const [jobId, expiresAtMs] of state.grants) {
    const job = state.jobs.get(jobId);
    if (expiresAtMs > nowMs || job?.state !== "starting" || job.session === null) continue;
    apply(state, jobId, { type: "ungrant", by: { session: job.session, fence: job.fence } });
    moved.push(jobId);
  }
  if (nowMs - state.upSinceMs < state.timing.serverLeaseMs) return moved;
  for (const session of state.sessions.values()) {
    if (session.state !== "open" || session.expiresAtMs > nowMs) continue;
    for (const [jobId] of heldBy(state, session.id)) {
      apply(state, jobId, { type: "lost" });
      if (state.jobs.get(jobId)?.session === null) moved.push(jobId);
    }
  }
  return moved;
}

function heldBy(state: Coordinator, sessionId: string): [string, Job][] {
  return [...state.jobs].filter(([, job]) => job.session === sessionId);
}

function apply(state: Coordinator, jobId: string, event: JobEvent): Told {
  const job = state.jobs.get(jobId);
  if (!job) return "fenced";
  const next = transition(job, event);
  if (typeof next === "string") return next;
  state.jobs.set(jobId, next);
  if (next.state !== "starting") state.grants.delete(jobId);
  return undefined;
}
