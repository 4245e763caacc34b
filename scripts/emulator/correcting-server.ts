import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { correctedCall, correctedScope, repliedCall } from "./corrected-call";
import type { Correction } from "./correction";
import type { Emulator } from "./moto";

/** Headers of one connection alone (RFC 9110, section 7.6.1), and one that this server answers itself. */
const NOT_PASSED_ON: ReadonlySet<string> = new Set(["connection", "keep-alive", "transfer-encoding", "expect"]);

/** Headers that hold true for the body as the emulator behind wrote it. */
const OF_THE_BODY: ReadonlySet<string> = new Set(["content-length", "x-amz-crc32"]);

/**
 * Serves the AWS at `upstream` on a free port of `host`, with corrections, made for the address that it then has, applied to the
 * actions that they name; everything else passes through as it is. Signatures are not checked. Where `upstream` cannot be
 * reached, or answers what cannot be read, a request is answered with 502 and the reason.
 *
 * @throws Error where no port can be had.
 */
export async function startCorrectingServer(
  upstream: string,
  correctionsAt: (url: string) => readonly Correction[],
  host = "127.0.0.1",
): Promise<Emulator> {
  let corrections: readonly Correction[] = [];
  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing, upstream, corrections).catch((error: Error) => {
      if (outgoing.headersSent || outgoing.destroyed) {
        outgoing.destroy();
      } else {
        outgoing.writeHead(502, { "content-type": "text/plain" }).end(`The emulated AWS failed: ${error.message}\n`);
      }
    });
  });
  // A connection that ends while a client writes to it is a request that the client may not repeat.
  server.keepAliveTimeout = 0;
  server.listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const url = `http://${host}:${port}`;
  corrections = correctionsAt(url);
  return {
    url,
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function serve(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  upstream: string,
  corrections: readonly Correction[],
): Promise<void> {
  const gone = new AbortController();
  outgoing.once("close", () => gone.abort());
  const scope = correctedScope(incoming.headers);
  if (scope === undefined) {
    const answer = await send(incoming, upstream, incoming, gone.signal);
    outgoing.writeHead(answer.statusCode ?? 502, headersBut(NOT_PASSED_ON, answer.headers));
    await pipeline(answer, outgoing);
    return;
  }
  const said = await buffer(incoming);
  const reply = await repliedCall(scope, incoming.headers, said, corrections);
  if (reply !== undefined) {
    outgoing.writeHead(reply.status, { "content-type": reply.contentType }).end(reply.body);
    return;
  }
  const call = correctedCall(scope, incoming.headers, said, corrections);
  const answer = await send(incoming, upstream, call.request, gone.signal);
  const original = await buffer(answer);
  const body = answer.statusCode === 200 ? call.answer(original) : original;
  const headers = headersBut(NOT_PASSED_ON, answer.headers);
  outgoing.writeHead(
    answer.statusCode ?? 502,
    body === original ? headers : { ...headersBut(OF_THE_BODY, headers), "content-length": body.length },
  );
  outgoing.end(body);
}

/** Sends a request on with `body` in place of its own, or with its own while it comes in. */
async function send(
  { url = "/", method = "GET", headers }: IncomingMessage,
  upstream: string,
  body: Buffer | IncomingMessage,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { hostname, port } = new URL(upstream);
  const own = headersBut(NOT_PASSED_ON, headers);
  const ofBody = Buffer.isBuffer(body) ? { "accept-encoding": "identity", "content-length": body.length } : {};
  const outgoing = request({ hostname, port, path: url, method, headers: { ...own, ...ofBody }, signal });
  const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
  // Once there is an answer, it is the answer that fails.
  outgoing.on("error", () => undefined);
  if (Buffer.isBuffer(body)) {
    outgoing.end(body);
  } else {
    body.pipe(outgoing);
  }
  const [answer] = await answered;
  return answer;
}

function headersBut(names: ReadonlySet<string>, headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.has(name)));
}
