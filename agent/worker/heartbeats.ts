import type { Request, Response } from "../../control-plane/protocol";
import { type Log, reason } from "../host/log";
import { fullJitterMs } from "../host/waiting";
import { type ControlPlaneClient, ControlPlaneError } from "./control-plane-client";

/** What the worker has to say, and what becomes of the answer. */
export interface Beat {
  readonly message: Omit<Request<"heartbeat">, "seq">;
  readonly answered: (answer: Response<"heartbeat">) => void;
}

/** What heartbeats need from outside. */
export interface HeartbeatPorts {
  readonly controlPlane: ControlPlaneClient;
  readonly log: Pick<Log, "warn">;
  /** Called just before a heartbeat is sent. Undefined when there is nothing to say any more: the agent leaves. */
  readonly beat: () => Beat | Promise<Beat | undefined>;
  /** Ends early when woken, or when the agent leaves. @returns whether it did. */
  readonly sleep: (delayMs: number, signal: AbortSignal) => Promise<boolean>;
  /** Told before each sleep: the loop turns, and again after it. */
  readonly turn: (waitMs: number) => void;
  readonly random: () => number;
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
  /** Told what the agent is at, in one line. */
  readonly status: (line: string) => Promise<void>;
}

/** How a session's heartbeats ended. */
export interface HeartbeatsEnd {
  /** Whether one was answered. */
  readonly answered: boolean;
  /** Another life of this worker has the session's jobs, or nobody. */
  readonly closed: boolean;
}

/** Resolves when the session is over, refused by the server or ended by the agent. */
export type SendHeartbeats = (
  session: Response<"register">,
  ports: HeartbeatPorts,
  leaving: AbortSignal,
) => Promise<HeartbeatsEnd>;

/** No server may ask for a longer wait, and no backoff grows beyond it. */
export const LONGEST_PAUSE_MS = 60_000;

/** Between two heartbeats of which the first was not answered. */
const BACKOFF = { baseMs: 500, capMs: 10_000 };
const FIRST_TIMEOUT_MS = 10_000;

/**
 * Of what is left of the lease, after a heartbeat that was not answered: how long to wait before the next, and for its answer. The last of
 * them leave shortly before its end, also where each vanishes without a word.
 */
const WAITED = 1 / 3;
const SHORTEST_TIMEOUT_MS = 1_000;

/** Of a period: what a heartbeat makes up for that left late. More would hurry the next one after a machine that stood still. */
const MADE_UP = 0.05;

/** Sends a session's heartbeats when the server wants them. The first one opens the session. */
export const sendHeartbeats: SendHeartbeats = async (session, ports, leaving) => {
  const { controlPlane, log, now, random, status } = ports;
  let answered = false;
  let dueAt = now();
  let periodMs = 0;
  let failures = 0;
  let leaseEndsAt = Number.NEGATIVE_INFINITY;
  // A lost heartbeat must leave time for two more within the lease.
  let timeoutMs = FIRST_TIMEOUT_MS;
  for (let seq = 1; ; seq++) {
    await pause(ports, Math.max(0, dueAt - now()), leaving);
    const beat = leaving.aborted ? undefined : await ports.beat();
    if (!beat) return { answered, closed: false };
    const sentAt = now();
    const patienceMs = failures > 0 ? hurriedMs(timeoutMs, leaseEndsAt - sentAt, SHORTEST_TIMEOUT_MS) : timeoutMs;
    try {
      const message = { seq, ...beat.message } satisfies Request<"heartbeat">;
      const answer = await controlPlane.post("heartbeat", message, session.token, { timeoutMs: patienceMs });
      answered = true;
      beat.answered(answer);
      periodMs = answer.nextMs;
      leaseEndsAt = sentAt + answer.leaseMs;
      // The period grows neither by what the answer takes nor by what the machine is late each time.
      dueAt = sentAt + periodMs - Math.min(Math.max(0, sentAt - dueAt), periodMs * MADE_UP);
      timeoutMs = Math.max(SHORTEST_TIMEOUT_MS, Math.min(FIRST_TIMEOUT_MS, answer.leaseMs / 3));
      failures = 0;
      void status(message.state);
    } catch (error) {
      log.warn("heartbeat failed", { seq, reason: reason(error) });
      await status(`heartbeat failed: ${reason(error)}`);
      if (isRefused(error)) return { answered, closed: isClosed(error) };
      const patientMs = Math.max(periodMs, fullJitterMs(++failures, BACKOFF, random));
      const waitMs = hurriedMs(patientMs, leaseEndsAt - now(), BACKOFF.baseMs);
      dueAt = now() + Math.max(waitMs, retryAfterMs(error));
    }
  }
};

/** What is usual after a heartbeat that was not answered; while there is a lease to lose, no longer than its share of that, or than the least. */
function hurriedMs(usualMs: number, leftMs: number, leastMs: number): number {
  return leftMs > 0 ? Math.min(usualMs, Math.max(leastMs, leftMs * WAITED)) : usualMs;
}

/** A sleep that whoever looks after the loops knows of. */
export async function pause(
  { sleep, turn }: Pick<HeartbeatPorts, "sleep" | "turn">,
  delayMs: number,
  leaving: AbortSignal,
): Promise<void> {
  turn(delayMs);
  await sleep(delayMs, leaving);
}

/** The token is expired, revoked or replayed (401, 403), or the session is closed (410). */
export function isRefused(error: unknown): boolean {
  return error instanceof ControlPlaneError && [401, 403, 410].includes(error.status);
}

function isClosed(error: unknown): boolean {
  return error instanceof ControlPlaneError && error.status === 410;
}

/** What the server asks for, within bounds. */
export function retryAfterMs(error: unknown): number {
  return error instanceof ControlPlaneError ? Math.min(error.retryAfterMs, LONGEST_PAUSE_MS) : 0;
}
