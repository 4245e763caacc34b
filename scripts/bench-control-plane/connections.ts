import { Agent, request } from "node:http";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import type { SecureContext } from "node:tls";
import { WORKER_PATH } from "../../control-plane/protocol/limits";

/** Where a copy of the control plane is reached. */
export interface Address {
  readonly url: string;
  /** Holds whoever answers an https URL to be who it is. One for all connections: each made anew costs more than a handshake. */
  readonly secureContext?: SecureContext;
}

export interface Patience {
  /** @default - none: as long as it takes */
  readonly timeoutMs?: number;
}

/** As an agent's `fetch` waits for a connection, handshake included. */
const CONNECT_MS = 10_000;

/** Asks a copy of the control plane over connections that stay open, without what `fetch` costs. */
export class Connections {
  /** By itself it would keep 256 connections that rest and open each other one anew. */
  private readonly agent: Agent;
  private readonly send: typeof request;
  /** How many connections were made, handshake included. */
  made = 0;

  /** @param most of them at a time; what is asked beyond waits. @default - as many as are asked for */
  constructor(
    private readonly to: Address,
    most = Number.POSITIVE_INFINITY,
  ) {
    const { url, secureContext } = to;
    const isSecure = url.startsWith("https:");
    const kept = { keepAlive: true, maxSockets: most, maxFreeSockets: Number.POSITIVE_INFINITY };
    // As an agent's `fetch`, a worker resumes its TLS session, and no other's.
    const maxCachedSessions = most === 1 ? 1 : 0;
    this.agent = isSecure ? new TlsAgent({ ...kept, maxCachedSessions, secureContext }) : new Agent(kept);
    this.send = isSecure ? tlsRequest : request;
  }

  /** Sends a message of the worker protocol. @throws Error unless the answer is 200, or where none comes in time. */
  async post(name: string, token: string, body: object, patience?: Patience): Promise<string> {
    return await this.ask(WORKER_PATH + name, token, body, patience);
  }

  /** @throws Error unless the answer is 200, or where none comes in time. */
  async ask(path: string, token: string, body: object, patience?: Patience): Promise<string> {
    return await this.exchange(path, `Bearer ${token}`, JSON.stringify(body), patience);
  }

  /** @param authorization the header. @throws Error unless the answer is 200, or where none comes. */
  async get(path: string, authorization: string): Promise<string> {
    return await this.exchange(path, authorization);
  }

  close(): void {
    this.agent.destroy();
  }

  private async exchange(path: string, authorization: string, text?: string, patience: Patience = {}): Promise<string> {
    const options = {
      method: text === undefined ? "GET" : "POST",
      agent: this.agent,
      headers: { authorization, ...(text !== undefined && bodyHeaders(text)) },
    };
    return await new Promise((resolve, reject) => {
      const asked = this.send(this.to.url + path, options);
      const giveUp = (what: string, ms: number) =>
        setTimeout(() => asked.destroy(new Error(`${path}: ${what} within ${ms} ms`)), ms);
      const { timeoutMs } = patience;
      const late = timeoutMs === undefined ? undefined : giveUp("no answer", timeoutMs);
      asked.once("socket", (socket) => {
        if (asked.reusedSocket) return;
        const unconnected = giveUp("no connection", CONNECT_MS);
        const connected = this.send === tlsRequest ? "secureConnect" : "connect";
        socket.once(connected, () => {
          this.made += 1;
          clearTimeout(unconnected);
        });
        asked.once("close", () => clearTimeout(unconnected));
      });
      asked.once("close", () => clearTimeout(late));
      asked.once("error", reject);
      asked.once("response", (answer) => {
        let said = "";
        answer.setEncoding("utf8").on("data", (part: string) => {
          said += part;
        });
        answer.once("error", reject);
        answer.once("end", () =>
          answer.statusCode === 200 ? resolve(said) : reject(new Error(`${path}: ${answer.statusCode} ${said}`)),
        );
      });
      asked.end(text);
    });
  }
}

const bodyHeaders = (text: string) => ({
  "content-type": "application/json",
  "content-length": Buffer.byteLength(text),
});
