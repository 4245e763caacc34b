import { randomUUID } from "node:crypto";
import { PROTOCOL_VERSION, type Request, type Response } from "../../control-plane/protocol";
import { type Log, reason } from "../host/log";
import { fullJitterMs } from "../host/waiting";
import { type ControlPlaneClient, ControlPlaneError } from "./control-plane-client";

/** What of a registration does not change while the agent lives. */
export type WorkerDescription = Omit<Request<"register">, "protocols" | "sessionId">;

/** Between two attempts to register. */
const REGISTER_BACKOFF = { baseMs: 500, capMs: 60_000 };

/** What a session needs from outside. */
export interface SessionPorts {
  readonly controlPlane: ControlPlaneClient;
  readonly log: Log;
  /** The deployment's token; with `anew` from where the operator keeps it, since the one held was refused. */
  readonly deploymentToken: (anew: boolean) => Promise<string>;
  /** Ends early when the agent leaves. */
  readonly sleep: (delayMs: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  /** Told what the agent is at, in one line. */
  readonly status: (line: string) => Promise<void>;
}

/** What the loop reads and what it leaves behind for others. */
export interface SessionState {
  draining: boolean;
  /** Token of the session, in memory only; undefined while there is none. */
  token: string | undefined;
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
  registered: () => Promise<void>,
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
    await registered();
    const answered = await sendHeartbeats(session, state, ports, leaving);
    barren = answered ? 0 : barren + 1;
    if (!leaving.aborted) state.token = undefined;
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
  { controlPlane, log, random, sleep, status }: SessionPorts,
  leaving: AbortSignal,
): Promise<boolean> {
  let answered = false;
  let nextMs = 0;
  let periodMs = 0;
  let failures = 0;
  for (let seq = 1; ; seq++) {
    await sleep(nextMs, leaving);
    if (leaving.aborted) return answered;
    try {
      const phase = state.draining ? "draining" : "active";
      const message = { seq, state: phase, running: [], released: [] } satisfies Request<"heartbeat">;
      const answer = await controlPlane.post("heartbeat", message, session.token);
      answered = true;
      state.answeredAt = Date.now();
      nextMs = answer.nextMs;
      periodMs = nextMs;
      failures = 0;
      for (const action of answer.actions) {
        if (action.kind !== "drain" || state.draining) continue;
        state.draining = true;
        log.info("draining", { source: "control plane" });
      }
      await status(phase);
    } catch (error) {
      log.warn("heartbeat failed", { seq, reason: reason(error) });
      await status(`heartbeat failed: ${reason(error)}`);
      if (isRefused(error)) return answered;
      nextMs = Math.max(periodMs, fullJitterMs(++failures, REGISTER_BACKOFF, random), retryAfterMs(error));
    }
  }
}

/** The token is expired, revoked or replayed (401, 403), or the session is closed (410). */
function isRefused(error: unknown): boolean {
  return error instanceof ControlPlaneError && [401, 403, 410].includes(error.status);
}

/** What the server asks for; never more than the backoff's own cap. */
function retryAfterMs(error: unknown): number {
  return error instanceof ControlPlaneError ? Math.min(error.retryAfterMs, REGISTER_BACKOFF.capMs) : 0;
}
