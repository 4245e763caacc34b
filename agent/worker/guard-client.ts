import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { addAbortSignal } from "node:stream";
import { text } from "node:stream/consumers";
import type { JobRef } from "../../control-plane/protocol";
import { sleep, withDeadline } from "../host/waiting";
import type { DaemonSecrets, GuardAnswer, GuardRequest, StartRequest } from "./guard-protocol";
import type { HandedLease } from "./lease-keeper";

/** The agent's way to its guard. */
export interface GuardClient {
  /** Hands the lease on, again and again until the guard has it or there is a newer one. */
  holdLease(lease: HandedLease): void;
  /** @throws Error when the unit was not started: no lease is held, or what systemd says. */
  start(request: Omit<StartRequest, "kind" | "lease">): Promise<void>;
  /**
   * What no log may show of the daemons that the guard has started, for an agent that did not ask for them. Comes once every start
   * that was asked for before is over, also by an earlier life of the agent.
   */
  secrets(): Promise<DaemonSecrets>;
  signal(ref: JobRef, signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  forget(ref: JobRef): Promise<void>;
}

const DEADLINE_MS = 60_000;
/** A guard that ended with a lease is back within a moment. */
const RETRY_MS = 100;

export function guardClient(path: string): GuardClient {
  let lease: HandedLease | undefined;
  let superseded = new AbortController();
  const ask = (request: GuardRequest, asking = askOnce) =>
    withDeadline(`ask the guard to ${request.kind}`, DEADLINE_MS, async (deadline) => {
      const answer = await asking(path, request, deadline);
      if (answer?.error !== undefined) throw new Error(answer.error);
      return answer;
    });
  return {
    holdLease(newest) {
      lease = newest;
      superseded.abort();
      superseded = new AbortController();
      void askAgain(path, { kind: "lease", lease: newest }, superseded.signal);
    },
    async start(request) {
      if (!lease) throw new Error("no lease is held");
      await ask({ kind: "start", lease, ...request });
    },
    secrets: async () => (await ask({ kind: "secrets" }, askAgain))?.secrets ?? {},
    async signal({ jobId, fence }, signal) {
      await ask({ kind: "signal", jobId, fence, signal });
    },
    async forget({ jobId, fence }) {
      await ask({ kind: "forget", jobId, fence });
    },
  };
}

type Asking = (path: string, request: GuardRequest, end: AbortSignal) => Promise<GuardAnswer | undefined>;

/** @throws Error when the guard ended before it answered: then nothing is known of what it did. */
const askOnce: Asking = async (path, request, end) => {
  const socket = await connected(path, end);
  return socket && (await exchange(socket, request, end));
};

/** Asks until the guard has answered. */
const askAgain: Asking = async (path, request, end) => {
  while (!end.aborted) {
    const answer = await askOnce(path, request, end).catch(() => undefined);
    if (answer) return answer;
  }
  return undefined;
};

/** Tries until the guard is there. */
async function connected(path: string, end: AbortSignal): Promise<Socket | undefined> {
  while (!end.aborted) {
    const socket = createConnection({ path, allowHalfOpen: true });
    try {
      await once(socket, "connect");
      return socket;
    } catch {
      socket.destroy();
      await sleep(RETRY_MS);
    }
  }
  return undefined;
}

/** Takes back at the `end` what the guard has not read of the request by then: it would be carried out after later ones. */
async function exchange(socket: Socket, request: GuardRequest, end: AbortSignal): Promise<GuardAnswer> {
  try {
    addAbortSignal(end, socket).end(JSON.stringify(request));
    return JSON.parse(await text(socket)) as GuardAnswer;
  } catch (error) {
    throw new Error(`the guard ended before it answered to ${request.kind}`, { cause: error });
  } finally {
    socket.destroy();
  }
}
