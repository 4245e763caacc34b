import * as z from "zod";
import { OperatorError } from "./operator-error";

/** One attempt takes no longer than this. */
const TIMEOUT_MS = 30_000;

const Refusal = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** What to do about a refusal, by its code. */
const NEXT: Readonly<Record<string, string>> = {
  token_invalid:
    "set HOLDFAST_TOKEN_FILE to the file of a valid operator token; its issuer can make one: holdfast token create",
  token_scope: "use the token of an operator who may do this",
  rate_limited: "wait a moment and repeat the command",
  unavailable: "repeat the command; the control plane's /readyz says when its database answers",
  internal: "read the control plane's log",
};

/** The control plane's operator API. */
export interface ControlPlaneApi {
  readonly url: string;
  get<Answer extends z.ZodType>(path: string, answer: Answer): Promise<z.output<Answer>>;
  post<Answer extends z.ZodType>(path: string, body: unknown, answer: Answer): Promise<z.output<Answer>>;
  delete(path: string): Promise<void>;
}

/**
 * @param token of an operator.
 * @throws OperatorError from each call: CONTROL_PLANE_UNREACHABLE, NOT_A_CONTROL_PLANE, or the refusal's own code in capitals.
 */
export function controlPlaneApi(url: string, token: string): ControlPlaneApi {
  const ask = async <Answer extends z.ZodType>(
    method: string,
    path: string,
    expected: Answer,
    body?: unknown,
  ): Promise<z.output<Answer>> => {
    const where = `${method} ${url}${path}`;
    const unreachable = (error: Error): never => {
      throw silent(error, where, method !== "GET");
    };
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch(unreachable);
    const json = parsed(await answer.text().catch(unreachable));
    if (!answer.ok) throw refused(json, answer.status, where);
    const { success, data } = expected.safeParse(json);
    if (!success) throw notAControlPlane(answer.status, where);
    return data;
  };
  return {
    url,
    get: async (path, answer) => await ask("GET", path, answer),
    post: async (path, body, answer) => await ask("POST", path, answer, body),
    delete: async (path) => void (await ask("DELETE", path, z.object({}))),
  };
}

/** What is said of a request that was sent, as a rule. */
const SENT = /^(no answer|ECONNRESET|EPIPE|UND_ERR_(SOCKET|HEADERS_TIMEOUT|BODY_TIMEOUT))/;

function silent(error: Error, where: string, changes: boolean): OperatorError {
  const reason = reasonOf(error);
  const mayBeDone = changes && SENT.test(reason);
  const unknown = mayBeDone ? "; whether it has done what it was asked is not known" : "";
  return new OperatorError("CONTROL_PLANE_UNREACHABLE", `the control plane does not answer: ${reason}${unknown}`, {
    where,
    next: mayBeDone
      ? "look whether it was done before you repeat the command"
      : "check --url or HOLDFAST_URL; npm start runs a control plane on this machine",
  });
}

/** Nothing for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a control plane says that lacks a path, or a key of a body. */
const UNKNOWN_TO_IT = /^no such path$|^[\w. ]+: Unrecognized keys?: /;

function refused(json: unknown, status: number, where: string): OperatorError {
  const refusal = Refusal.safeParse(json);
  if (!refusal.success) return notAControlPlane(status, where);
  const { code, message } = refusal.data.error;
  if (UNKNOWN_TO_IT.test(message)) {
    return new OperatorError("CONTROL_PLANE_OLDER", `the control plane does not know what it was asked: ${message}`, {
      where,
      next: "bring the control plane to the version of this command, or use the command of its version",
    });
  }
  const next = NEXT[code];
  return new OperatorError(code.toUpperCase(), message, { where, ...(next !== undefined && { next }) });
}

/** Says nothing of what was answered: there may be a secret in it. */
function notAControlPlane(status: number, where: string): OperatorError {
  return new OperatorError("NOT_A_CONTROL_PLANE", `answered ${status}, but not as a control plane does`, {
    where,
    next: "check --url or HOLDFAST_URL",
  });
}

/** `fetch` hides what happened in its cause. */
function reasonOf(error: Error): string {
  if (error.name === "TimeoutError") return `no answer within ${TIMEOUT_MS / 1_000} s`;
  const { code, message = error.message } = (error.cause ?? {}) as Partial<NodeJS.ErrnoException>;
  return code ?? message;
}
