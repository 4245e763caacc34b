import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface RunningServer {
  readonly endpoint: string;
  readonly port: number;
  close(): Promise<void>;
}

/** A server for one test. A handler that answers undefined leaves the client waiting. */
export async function startHttpServer(
  handle: (request: HttpRequest) => HttpAnswer | undefined | Promise<HttpAnswer | undefined>,
  { host = "127.0.0.1", port = 0 } = {},
): Promise<RunningServer> {
  const server = createServer(async (incoming, outgoing) => {
    const answer = await handle(await read(incoming));
    if (answer) write(outgoing, answer);
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  const bound = (server.address() as AddressInfo).port;
  return {
    endpoint: `http://${host}:${bound}`,
    port: bound,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function read(incoming: IncomingMessage): Promise<HttpRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return {
    method: incoming.method ?? "",
    url: new URL(incoming.url ?? "/", `http://${incoming.headers.host}`),
    headers: Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)])),
    body: Buffer.concat(chunks).toString(),
  };
}

function write(outgoing: ServerResponse, { status, headers, body = "" }: HttpAnswer): void {
  outgoing.writeHead(status, { "content-length": Buffer.byteLength(body), ...headers });
  outgoing.end(body);
}
