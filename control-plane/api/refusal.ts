import { PROTOCOL_VERSION } from "../protocol/limits";
import type { Refusal } from "../protocol/messages";
import { isDisconnected, isReadOnly } from "../store/database";
import type { Ref } from "../store/sessions";

export type RefusalStatus = 400 | 401 | 403 | 404 | 409 | 410 | 413 | 426 | 429 | 503;

/** A request that is turned down: thrown by handlers, answered as the protocol's refusal. */
export class RequestRefused extends Error {
  constructor(
    readonly status: RefusalStatus,
    readonly code: string,
    message: string,
    private readonly more: { readonly jobs?: readonly Ref[]; readonly retryAfterMs?: number } = {},
  ) {
    super(message);
  }

  /** Zero: nothing is said about another attempt. */
  get retryAfterMs(): number {
    return this.more.retryAfterMs ?? 0;
  }

  get body(): Refusal {
    const { jobs = [] } = this.more;
    const { retryAfterMs } = this;
    return { error: { code: this.code, message: this.message, jobs: [...jobs], retryAfterMs } };
  }
}

export const fenced = (jobs: readonly Ref[]): RequestRefused =>
  new RequestRefused(410, "fenced", "the job is not this session's any more: end its daemon at once", { jobs });

/** @param spoken versions of the protocol, by whoever asks */
export const protocolUnsupported = (spoken: readonly number[]): RequestRefused =>
  new RequestRefused(
    426,
    "protocol_unsupported",
    `this control plane speaks version ${PROTOCOL_VERSION} of the worker protocol, the worker ${spoken.join(", ")}: upgrade the one that is behind`,
  );

export const tokenInvalid = (): RequestRefused =>
  new RequestRefused(401, "token_invalid", "the token is missing, unknown, expired or revoked");

export const sessionClosed = (): RequestRefused =>
  new RequestRefused(410, "session_closed", "the session has ended: end every daemon, then register a new one");

/** SQLSTATE classes by which PostgreSQL says that it cannot serve now: resources, operator intervention, time limits, a lost race. */
const UNAVAILABLE = /^(53|57|58|25P0[34]|55P03|40)/;

/** SQLSTATE class 22: values that PostgreSQL cannot hold, such as text with a NUL. */
const UNSTORABLE = /^22/;

const SILENT = "does not answer";
/** What PostgreSQL lacks, by its SQLSTATE. */
const LACKS: Readonly<Record<string, string>> = {
  "53100": "has no room on its disk",
  "53300": "has no connection left",
};
/** As a standby does. */
export const READ_ONLY = "takes no writes";

const unavailable = (why: string): RequestRefused =>
  new RequestRefused(503, "unavailable", `the database ${why}: try again`, { retryAfterMs: 1_000 });

/** What a thrown error means to whoever asked; undefined for a defect of ours. */
export function toRefusal(error: unknown): RequestRefused | undefined {
  if (error instanceof RequestRefused) return error;
  if (isDisconnected(error)) return unavailable(SILENT);
  if (isReadOnly(error)) return unavailable(READ_ONLY);
  const { code } = error as { code?: unknown };
  if (typeof code !== "string") return undefined;
  if (UNSTORABLE.test(code))
    return new RequestRefused(400, "invalid_message", "a text holds characters that cannot be stored");
  return UNAVAILABLE.test(code) ? unavailable(LACKS[code] ?? SILENT) : undefined;
}
