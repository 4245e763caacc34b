import { join, resolve } from "node:path";
import { createSecureContext } from "node:tls";
import { NODE_FOR_MANY_CLAIMS } from "../chaos/control-plane-program";
import { type ServerProcess, startServerProcess } from "../chaos/server-process";
import { certificateOf } from "../rehearse/fleet/gate";
import type { Address } from "./connections";
import { processesFor } from "./open-files";

/** What ends TLS in front of a server. */
export interface TlsFront {
  /** One for each process, among which connections are divided. */
  readonly addresses: readonly Address[];
  readonly pids: readonly number[];
  /** In PEM: who vouches for its certificate. */
  readonly authority: string;
  stop(): Promise<void>;
}

/** A connection through it is two. */
export const FILES_PER_CONNECTION = 2;

/**
 * Starts as many processes as so many connections need: Node.js's own TLS, a certificate with a P-256 key, each connection led on over one of
 * its own.
 *
 * @throws Error where openssl is not there
 */
export async function startTlsFront(server: ServerProcess, connections: number, directory: string): Promise<TlsFront> {
  const tls = certificateOf("127.0.0.1");
  const secureContext = createSecureContext({ ca: tls.certificate });
  const environment = { TO: new URL(server.url).port, KEY: tls.key, CERTIFICATE: tls.certificate };
  const gates = await Promise.all(
    Array.from({ length: processesFor(connections * FILES_PER_CONNECTION) }, async (_, index) =>
      startServerProcess({
        name: "what ends TLS",
        args: [...NODE_FOR_MANY_CLAIMS, resolve(__dirname, "tls-gate.ts")],
        cwd: resolve("."),
        environment,
        logFile: join(directory, `tls-gate-${index}.log`),
      }),
    ),
  );
  return {
    addresses: gates.map(({ url }) => ({ url: url.replace("http:", "https:"), secureContext })),
    pids: gates.map(({ pid }) => pid),
    authority: tls.certificate,
    stop: async () => {
      await Promise.all(gates.map((gate) => gate.stop()));
    },
  };
}
