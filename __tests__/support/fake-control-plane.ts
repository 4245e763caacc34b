import { randomBytes } from "node:crypto";
import type { Grant, MessageName, Request } from "../../control-plane/protocol";
import { WORKER_PATH } from "../../control-plane/protocol/limits";
import { MESSAGES } from "../../control-plane/protocol/schemas";
import { type HttpAnswer, type RunningServer, startHttpServer } from "./http-server";

export interface ReceivedMessage {
  readonly name: MessageName;
  readonly token: string;
  readonly body: Request<"register"> & Request<"heartbeat"> & Request<"claim"> & Request<"progress">;
  readonly at: number;
}

export interface FakeControlPlane extends RunningServer {
  readonly messages: readonly ReceivedMessage[];
  messagesOf(name: MessageName): ReceivedMessage[];
  /** The deployment's token that is accepted; another one is answered with 401. */
  deploymentToken: string;
  /** Answers instead of the usual one; undefined leaves it at that. */
  intercept: ((message: ReceivedMessage) => HttpAnswer | undefined) | undefined;
  /** Given to whoever claims next, as many as it has slots for. */
  readonly grants: Grant[];
  /** What a heartbeat grants. */
  leaseMs: number;
  /** Tokens given out so far are refused. */
  revokeSessions(): void;
}

const CLAIM_AGAIN_MS = 200;

/** The worker's side of the control plane: checks each message against the protocol's schemas and each token. */
export async function startControlPlane(
  deploymentToken: string,
  options: { readonly host?: string } = {},
): Promise<FakeControlPlane> {
  const messages: ReceivedMessage[] = [];
  const sessions = new Set<string>();

  const usualAnswer = ({ name, token, body }: ReceivedMessage): HttpAnswer => {
    if (name === "register") {
      if (token !== plane.deploymentToken) return refusal(401, "unauthorized", "unknown token");
      const session = randomBytes(32).toString("base64url");
      sessions.add(session);
      return json(200, { protocol: 1, token: session, progressMs: 30_000, metricsMs: 60_000 });
    }
    if (!sessions.has(token)) return refusal(401, "unauthorized", "unknown session");
    if (name === "heartbeat") return json(200, { leaseMs: plane.leaseMs, nextMs: 200, actions: [] });
    if (name === "progress") return json(200, { seq: body.checkpoint.seq });
    if (name === "claim") {
      const grants = plane.grants.splice(0, body.freeSlots);
      return json(200, { grants, nextMs: CLAIM_AGAIN_MS, actions: [] });
    }
    return json(200, {});
  };

  const server = await startHttpServer(({ method, url, headers, body }) => {
    const name = url.pathname.slice(WORKER_PATH.length) as MessageName;
    if (method !== "POST" || !url.pathname.startsWith(WORKER_PATH) || !(name in MESSAGES)) return { status: 404 };
    const parsed = MESSAGES[name].request.safeParse(JSON.parse(body));
    if (!parsed.success) return refusal(400, "bad_request", parsed.error.message);
    const token = (headers["authorization"] ?? "").replace(/^Bearer /, "");
    const message = { name, token, body: parsed.data as ReceivedMessage["body"], at: Date.now() };
    messages.push(message);
    return plane.intercept?.(message) ?? usualAnswer(message);
  }, options);

  const plane: FakeControlPlane = {
    ...server,
    messages,
    deploymentToken,
    intercept: undefined,
    grants: [],
    leaseMs: 30_000,
    messagesOf: (name) => messages.filter((message) => message.name === name),
    revokeSessions: () => sessions.clear(),
  };
  return plane;
}

export function refusal(status: number, code: string, message: string, retryAfterMs = 0): HttpAnswer {
  return json(status, { error: { code, message, jobs: [], retryAfterMs } });
}

export function json(status: number, body: unknown): HttpAnswer {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}
