import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { connect, isIP, type Socket } from "node:net";
import type { Connection } from "../../../control-plane/protocol";
import type { Check } from "./check";

/** Where a server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const PORTS: Readonly<Record<string, number>> = {
  "postgres:": 5432,
  "postgresql:": 5432,
  "mysql:": 3306,
  "http:": 80,
  "https:": 443,
};

/** Undefined where the URL names no host, or no port that is known. */
export function addressOf({ url }: Connection): Address | undefined {
  if (!URL.canParse(url)) return undefined;
  const { hostname, port, protocol } = new URL(url);
  const number = Number(port) || PORTS[protocol];
  if (hostname === "" || number === undefined) return undefined;
  // An IPv6 address stands in brackets in a URL.
  return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: number };
}

let lookedUp: Promise<unknown> = Promise.resolve();

/**
 * The addresses of a name. One name at a time: Node.js has room for two of these questions, which nobody can take back, and heartbeats
 * have theirs, too.
 */
async function addressesOf(host: string, signal: AbortSignal): Promise<readonly LookupAddress[]> {
  const found = lookedUp.then(() => {
    signal.throwIfAborted();
    return lookup(host, { all: true });
  });
  lookedUp = found.catch(() => {});
  return await found;
}

/** Whether the name leads somewhere, and whether somebody listens there, and on the host's `morePorts`. */
export function reachChecks(address: Address, ...morePorts: readonly number[]): readonly Check[] {
  return [
    {
      step: "dns",
      look: async (signal) => {
        if (isIP(address.host)) return `${address.host} is an address`;
        const found = await addressesOf(address.host, signal);
        return found.map((entry) => entry.address).join(", ");
      },
    },
    ...[address.port, ...morePorts].map(
      (port): Check => ({
        step: "tcp",
        look: async (signal) => {
          const socket = await connected({ host: address.host, port }, signal);
          const from = `${socket.localAddress}`;
          socket.destroy();
          return `${address.host}:${port} from ${from}`;
        },
      }),
    ),
  ];
}

/** An open connection. The signal ends it, later too. */
export async function connected({ host, port }: Address, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host, port, signal });
  await once(socket, "connect");
  return socket;
}

/** The first `count` bytes that the server sends; throws when it hangs up before. */
export async function firstBytes(socket: Socket, count: number): Promise<Buffer> {
  let received = Buffer.alloc(0);
  while (received.length < count) {
    const chunk = socket.read();
    if (chunk !== null) {
      received = Buffer.concat([received, chunk]);
      continue;
    }
    if (socket.readableEnded || socket.destroyed) throw new Error("the server closed the connection without a word");
    await Promise.race([once(socket, "readable"), once(socket, "close")]);
  }
  // What belongs to the next reader goes back.
  if (received.length > count) socket.unshift(received.subarray(count));
  return received.subarray(0, count);
}
