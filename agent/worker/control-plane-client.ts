import { type Answer, checkAnswer, type MessageName, type Request, WORKER_PATH } from "../../control-plane/protocol";
import { reason } from "../host/log";
import { withDeadline } from "../host/waiting";

/** A message that the control plane refused, or that did not reach it. */
export class ControlPlaneError extends Error {
  override readonly name = "ControlPlaneError";
  constructor(
    message: string,
    /** HTTP status, 0 if no answer came. */
    readonly status: number,
    /** What the server asks to wait before another attempt. */
    readonly retryAfterMs: number,
    /** The protocol's own code of the refusal; empty if it was none. */
    readonly code: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface ControlPlaneClient {
  /** A job can be this worker's for no longer: it is let go before. @default - as long as it takes */
  readonly longestJobMs?: number;
  /** What a claim brings after its signal was aborted is given back by itself: nobody need wait for it. @default false */
  readonly givesBackLateGrants?: boolean;
  /** A grant counts against its job also where it is given back at once: none should be asked for that cannot be taken up. @default false */
  readonly countsGrants?: boolean;
  /** Resolves when nothing is under way any more that the process must stay for. @default - nothing ever is */
  readonly settled?: () => Promise<void>;
  /**
   * @throws ControlPlaneError
   */
  post<Name extends MessageName>(
    name: Name,
    message: Request<Name>,
    token: string,
    options?: PostOptions,
  ): Promise<Answer<Name>>;
}

export interface PostOptions {
  /** How long the answer may take. @default 10000 */
  readonly timeoutMs?: number;
  /** Hangs up. */
  readonly signal?: AbortSignal;
}

/** One attempt: whoever sends decides about another. */
const TIMEOUT_MS = 10_000;

/** @param baseUrl of the control plane; the protocol's paths are put behind it. */
export function controlPlaneClient(baseUrl: string): ControlPlaneClient {
  return {
    async post(name, message, token, { timeoutMs = TIMEOUT_MS, signal } = {}) {
      const url = baseUrl.replace(/\/$/, "") + WORKER_PATH + name;
      let status = 0;
      let waitMs = 0;
      const send = async (deadline: AbortSignal): Promise<{ readonly ok: boolean; readonly answer: unknown }> => {
        const response = await fetch(url, {
          method: "POST",
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
          body: JSON.stringify(message),
          redirect: "error",
          signal: signal ? AbortSignal.any([deadline, signal]) : deadline,
        });
        status = response.status;
        waitMs = headerMs(response.headers.get("retry-after"));
        return { ok: response.ok, answer: await response.json() };
      };
      try {
        const { ok, answer } = await withDeadline(name, timeoutMs, send);
        if (ok) return checkAnswer(name, answer);
        const { error } = checkAnswer("refusal", answer);
        const { code, retryAfterMs } = error;
        const longest = Math.max(retryAfterMs, waitMs);
        throw new ControlPlaneError(`${name}: ${status} ${code}: ${error.message}`, status, longest, code);
      } catch (error) {
        if (error instanceof ControlPlaneError) throw error;
        // An error page of something in between has no body that the protocol knows, but may have the header.
        const what = `${name}: ${status || "no answer"} from ${url}`;
        throw new ControlPlaneError(what, status, waitMs, "", { cause: told(error) });
      }
    },
  };
}

/** Node.js has no words of its own for the attempts at all addresses of a name. */
function told(error: unknown): unknown {
  const { cause } = error as Error;
  if (cause instanceof AggregateError) cause.message ||= cause.errors.map(reason).join(", ");
  return error;
}

/** Seconds, or the date of an end: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after. 0 where it is neither. */
function headerMs(retryAfter: string | null): number {
  if (retryAfter === null) return 0;
  const ms = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1_000 : Date.parse(retryAfter) - Date.now();
  return Math.max(0, ms || 0);
}
