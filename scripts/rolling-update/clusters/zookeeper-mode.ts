import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import * as z from "zod/mini";
import type { ManifestNode } from "../manifest";
import { jsonHttp } from "./json-http";
import { connectionError, type TlsFiles, tlsOptions } from "./tls-files";

/** What a server says that it is: leader, follower, observer, standalone. @throws Error with its own words when it tells none */
export type AskMode = (node: ManifestNode) => Promise<string>;

/**
 * Through the four-letter word `srvr`, the one that is allowed unless told otherwise.
 * https://zookeeper.apache.org/doc/r3.8.4/zookeeperAdmin.html#sc_4lw
 */
export function fourLetterMode(port: number, timeoutMs: number, files: TlsFiles | undefined): AskMode {
  const tls = files && tlsOptions(files);
  return async ({ ip }) => {
    const answer = await srvr({ host: ip, port, ...(tls && { tls }) }, timeoutMs);
    const mode = /^Mode: (\w+)$/m.exec(answer)?.[1];
    if (mode !== undefined) return mode;
    const [words = ""] = answer.trim().split("\n");
    throw new Error(words === "" ? "closes the connection without an answer" : words);
  };
}

const adminSchema = z.object({
  error: z.nullish(z.string()),
  server_stats: z.optional(z.object({ server_state: z.string() })),
});

/** Through the AdminServer. https://zookeeper.apache.org/doc/r3.8.4/zookeeperAdmin.html#sc_adminserver */
export function adminMode(port: number, timeoutMs: number, files: TlsFiles | undefined): AskMode {
  const http = jsonHttp(timeoutMs, files);
  return async ({ ip }) => {
    const url = `${files ? "https" : "http"}://${ip}:${port}/commands/srvr`;
    const { status, body } = await http({ method: "GET", url });
    const answer = adminSchema.safeParse(body).data;
    if (answer?.server_stats && !answer.error) return answer.server_stats.server_state;
    throw new Error(answer?.error ?? `${url} answers ${status}`);
  };
}

interface Server {
  readonly host: string;
  readonly port: number;
  readonly tls?: ReturnType<typeof tlsOptions>;
}

function srvr({ host, port, tls }: Server, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const ask = () => socket.write("srvr");
    const socket = tls ? connectTls({ host, port, ...tls }, ask) : connect({ host, port }, ask);
    signal.addEventListener("abort", () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)), {
      once: true,
    });
    let text = "";
    socket
      .setEncoding("utf8")
      .on("data", (part) => {
        text += part;
      })
      .on("end", () => resolve(text))
      .on("error", (error) => reject(connectionError(error)));
  });
}
