import { randomUUID } from "node:crypto";
import { PROTOCOL_VERSION, type Request, type Response } from "../../control-plane/protocol";
import { type Log, reason } from "../host/log";
import { fullJitterMs } from "../host/waiting";
import {
  type Beat,
  type HeartbeatPorts,
  isRefused,
  LONGEST_PAUSE_MS,
  pause,
  retryAfterMs,
  type SendHeartbeats,
  sendHeartbeats,
} from "./heartbeats";

/** What of a registration does not change while the agent lives. */
export type WorkerDescription = Omit<Request<"register">, "protocols" | "sessionId">;

/** The worker's part in its session. */
export interface SessionWork {
  /** What the worker has to say now. */
  beat(): Beat;
  /** The session is closed: nothing that it held is this worker's any more. Resolves when no daemon is left. */
  closed(): Promise<void>;
}

/** Between two attempts to register. */
const REGISTER_BACKOFF = { baseMs: 500, capMs: LONGEST_PAUSE_MS };
/** What a session needs from outside. */
export interface SessionPorts extends Omit<HeartbeatPorts, "beat" | "log"> {
  readonly log: Log;
  /** The deployment's token; with `anew` from where the operator keeps it, since the one held was refused. */
  readonly deploymentToken: (anew: boolean) => Promise<string>;
  /** Sends a session's heartbeats. @default - from this loop */
  readonly sendHeartbeats?: SendHeartbeats | undefined;
  readonly work: SessionWork;
}

/** What the loop leaves behind for others. */
export interface SessionState {
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
    if (barren > 0) await pause(ports, fullJitterMs(barren, REGISTER_BACKOFF, ports.random), leaving);
    const session = await register(worker, ports, leaving);
    if (!session) return;
    ports.log.redact(session.token);
    state.token = session.token;
    state.answeredAt = Date.now();
    await registered(session);
    const beat = () => noted(ports.work.beat(), state);
    const end = await (ports.sendHeartbeats ?? sendHeartbeats)(session, { ...ports, beat }, leaving);
    if (end.closed) await ports.work.closed();
    barren = end.answered ? 0 : barren + 1;
    if (!leaving.aborted) {
      state.token = undefined;
      state.open = false;
    }
  }
}

async function register(
  worker: WorkerDescription,
  ports: SessionPorts,
  leaving: AbortSignal,
): Promise<Response<"register"> | undefined> {
  const { controlPlane, deploymentToken, log, random, status } = ports;
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
      await pause(ports, delayMs, leaving);
    }
  }
  return undefined;
}

/** Its answer opens the session, or shows that it is open. */
function noted({ message, answered }: Beat, state: SessionState): Beat {
  return {
    message,
    answered: (answer) => {
      state.open = true;
      state.answeredAt = Date.now();
      answered(answer);
    },
  };
}
