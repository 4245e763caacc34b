import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
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
  /** What no log may show of the daemons that the guard has started, for an agent that did not ask for them. */
  secrets(): Promise<DaemonSecrets>;
  signal(ref: JobRef, signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  forget(ref: JobRef): Promise<void>;
}

const DEADLINE_MS = 60_000;
/** A guard that ended with a lease is back within a moment. */
const RETRY_MS = 100;

export function guardClient(path: string): GuardClient {
  let lease: HandedLease | undefined;
  const ask = (request: GuardRequest) =>
    withDeadline(`ask the guard to ${request.kind}`, DEADLINE_MS, async (deadline) => {
      const socket = await connected(path, () => !deadline.aborted);
      const answer = socket && (await exchange(socket, request));
      if (answer?.error !== undefined) throw new Error(answer.error);
      return answer;
    });
  return {
    holdLease(newest) {
      lease = newest;
      void (async () => {
        while (lease === newest) {
          const socket = await connected(path, () => lease === newest);
          const answer = socket && (await exchange(socket, { kind: "lease", lease: newest }).catch(() => undefined));
          if (answer) return;
        }
      })();
    },
    async start(request) {
      if (!lease) throw new Error("no lease is held");
      await ask({ kind: "start", lease, ...request });
    },
    secrets: async () => (await ask({ kind: "secrets" }))?.secrets ?? {},
    async signal({ jobId, fence }, signal) {
      await ask({ kind: "signal", jobId, fence, signal });
    },
    async forget({ jobId, fence }) {
      await ask({ kind: "forget", jobId, fence });
    },
  };
}

/** Tries until the guard is there, for as long as that is `wanted`. */
async function connected(path: string, wanted: () => boolean): Promise<Socket | undefined> {
  while (wanted()) {
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

/** @throws Error when the guard ended before it answered: then nothing is known of what it did. */
async function exchange(socket: Socket, request: GuardRequest): Promise<GuardAnswer> {
  try {
    socket.end(JSON.stringify(request));
    return JSON.parse(await text(socket)) as GuardAnswer;
  } catch (error) {
    throw new Error(`the guard ended before it answered to ${request.kind}`, { cause: error });
  } finally {
    socket.destroy();
  }
}
