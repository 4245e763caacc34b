import { randomUUID } from "node:crypto";
import { PROTOCOL_VERSION, type Request, type Response } from "../../control-plane/protocol";
import { type Log, reason } from "../host/log";
import { fullJitterMs } from "../host/waiting";
import { type ControlPlaneClient, ControlPlaneError } from "./control-plane-client";

/** What of a registration does not change while the agent lives. */
export type WorkerDescription = Omit<Request<"register">, "protocols" | "sessionId">;

/** What the worker has to say, and what becomes of the answer. */
export interface Beat {
  readonly message: Pick<Request<"heartbeat">, "running" | "released" | "upgrade">;
  readonly answered: (answer: Response<"heartbeat">) => void;
}

/** The worker's part in its session. */
export interface SessionWork {
  /** Called just before a heartbeat is sent. */
  beat(): Beat;
  /** The session is closed: nothing that it held is this worker's any more. Resolves when no daemon is left. */
  closed(): Promise<void>;
}

/** Between two attempts to register. */
const REGISTER_BACKOFF = { baseMs: 500, capMs: 60_000 };
/** Between two heartbeats of which the first was not answered: a lease may be at stake. */
const HEARTBEAT_BACKOFF = { baseMs: 500, capMs: 10_000 };
const FIRST_HEARTBEAT_TIMEOUT_MS = 10_000;

/** What a session needs from outside. */
export interface SessionPorts {
  readonly controlPlane: ControlPlaneClient;
  readonly log: Log;
  /** The deployment's token; with `anew` from where the operator keeps it, since the one held was refused. */
  readonly deploymentToken: (anew: boolean) => Promise<string>;
  /** Ends early when the agent leaves. */
  readonly sleep: (delayMs: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
  /** Told what the agent is at, in one line. */
  readonly status: (line: string) => Promise<void>;
  readonly work: SessionWork;
}

/** What the loop reads and what it leaves behind for others. */
export interface SessionState {
  draining: boolean;
  /** Token of the session, in memory only; undefined while there is none. */
  token: string | undefined;
  /** Whether the session's first heartbeat was answered. */
  open: boolean;
  /** Time (ms since the epoch) of the last answer other than a refusal. */
  answeredAt: number;
}

/**
 * Keeps a session with the control plane until `leaving`: registers, sends heartbeats when the server wants them, and
 * registers again when the session is refused. One attempt to register per backoff step, whatever is wrong: a bad token
 * is fetched anew, and the agent waits rather than ends.
 *
 * @param registered called after every registration.
 */
export async function keepSession(
  worker: WorkerDescription,
  state: SessionState,
  ports: SessionPorts,
  leaving: AbortSignal,
  registered: (session: Response<"register">) => Promise<void>,
): Promise<void> {
  // Sessions in a row that ended before a heartbeat was answered.
  let barren = 0;
  while (!leaving.aborted) {
    if (barren > 0) await ports.sleep(fullJitterMs(barren, REGISTER_BACKOFF, ports.random), leaving);
    const session = await register(worker, ports, leaving);
    if (!session) return;
    ports.log.redact(session.token);
    state.token = session.token;
    state.answeredAt = Date.now();
    await registered(session);
    const answered = await sendHeartbeats(session, state, ports, leaving);
    barren = answered ? 0 : barren + 1;
    if (!leaving.aborted) {
      state.token = undefined;
      state.open = false;
    }
  }
}

async function register(
  worker: WorkerDescription,
  { controlPlane, deploymentToken, log, random, sleep, status }: SessionPorts,
  leaving: AbortSignal,
): Promise<Response<"register"> | undefined> {
  // The same for every attempt: a registration whose answer was lost opens nothing new when it is repeated.
  const request = { ...worker, protocols: [PROTOCOL_VERSION], sessionId: randomUUID() };
  let refused = false;
  for (let attempt = 1; !leaving.aborted; attempt++) {
    try {
      const session = await controlPlane.post("register", request, await deploymentToken(refused));
      log.info("registered", { sessionId: request.sessionId });
      return session;
    } catch (error) {
      refused = isRefused(error);
      const delayMs = Math.max(fullJitterMs(attempt, REGISTER_BACKOFF, random), retryAfterMs(error));
      log.warn("not registered", { attempt, reason: reason(error), retryInMs: Math.round(delayMs) });
      await status(`not registered: ${reason(error)}`);
      await sleep(delayMs, leaving);
    }
  }
  return undefined;
}

/**
 * The first one opens the session. Returns when it is over, refused by the server or ended by the agent: whether a
 * heartbeat was answered.
 */
async function sendHeartbeats(
  session: Response<"register">,
  state: SessionState,
  { controlPlane, log, now, random, sleep, status, work }: SessionPorts,
  leaving: AbortSignal,
): Promise<boolean> {
  let answered = false;
  let nextMs = 0;
  let periodMs = 0;
  let failures = 0;
  // A lost heartbeat must leave time for two more within the lease.
  let timeoutMs = FIRST_HEARTBEAT_TIMEOUT_MS;
  for (let seq = 1; ; seq++) {
    await sleep(nextMs, leaving);
    if (leaving.aborted) return answered;
    const sentAt = now();
    try {
      const phase = state.draining ? "draining" : "active";
      const beat = work.beat();
      const message = { seq, state: phase, ...beat.message } satisfies Request<"heartbeat">;
      const answer = await controlPlane.post("heartbeat", message, session.token, { timeoutMs });
      answered = true;
      state.open = true;
      state.answeredAt = Date.now();
      beat.answered(answer);
      // Counted from the sending, so that the period does not grow by what the answer takes.
      nextMs = Math.max(0, answer.nextMs - (now() - sentAt));
      periodMs = answer.nextMs;
      timeoutMs = Math.max(1_000, Math.min(FIRST_HEARTBEAT_TIMEOUT_MS, answer.leaseMs / 3));
      failures = 0;
      void status(phase);
    } catch (error) {
      log.warn("heartbeat failed", { seq, reason: reason(error) });
      await status(`heartbeat failed: ${reason(error)}`);
      if (isClosed(error)) await work.closed();
      if (isRefused(error)) return answered;
      nextMs = Math.max(periodMs, fullJitterMs(++failures, HEARTBEAT_BACKOFF, random), retryAfterMs(error));
    }
  }
}

/** Another life of this worker has the session's jobs, or nobody. */
function isClosed(error: unknown): boolean {
  return error instanceof ControlPlaneError && error.status === 410;
}

/** The token is expired, revoked or replayed (401, 403), or the session is closed (410). */
function isRefused(error: unknown): boolean {
  return error instanceof ControlPlaneError && [401, 403, 410].includes(error.status);
}

/** What the server asks for; never more than the backoff's own cap. */
function retryAfterMs(error: unknown): number {
  return error instanceof ControlPlaneError ? Math.min(error.retryAfterMs, REGISTER_BACKOFF.capMs) : 0;
}
