import { createServer, type Server, type Socket } from "node:net";
import { type Log, reason } from "../host/log";
import { type GuardAnswer, GuardRequest, MAX_REQUEST_BYTES, UNKNOWN_REQUEST } from "./guard-protocol";

/**
 * Answers what is asked at a socket, one request per connection. Resolves once it can be asked; a connection that cannot be accepted
 * is logged, and others are answered.
 *
 * @throws Error when it cannot listen there.
 */
export async function serveGuard(
  socket: string,
  handle: (request: GuardRequest) => Promise<GuardAnswer>,
  log: Log,
): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (connection) => void answer(connection, handle, log));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(socket, resolve);
  });
  // Without one that listens the next would end the guard, and systemd the daemons with it.
  server.on("error", (error) => log.warn("connection not accepted", { reason: reason(error) }));
  return server;
}

async function answer(
  connection: Socket,
  handle: (request: GuardRequest) => Promise<GuardAnswer>,
  log: Log,
): Promise<void> {
  const say = (value: GuardAnswer) => connection.end(JSON.stringify(value));
  try {
    const text = await received(connection);
    // Taken back: whoever asked has something newer to say.
    if (text === "") return void connection.end();
    say(await handle(parseRequest(text)));
  } catch (error) {
    log.warn("request refused", { reason: reason(error) });
    say({ error: reason(error) });
  }
}

/** @throws Error that shows nothing of the request, which may hold credentials. */
function parseRequest(text: string): GuardRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("the request is not JSON");
  }
  const parsed = GuardRequest.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(`${UNKNOWN_REQUEST}: ${parsed.error.issues.map(({ path }) => path.join(".")).join(", ")}`);
}

function received(connection: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    connection.on("data", (chunk) => {
      length += chunk.length;
      if (length > MAX_REQUEST_BYTES) reject(new Error(`the request is larger than ${MAX_REQUEST_BYTES} bytes`));
      else chunks.push(chunk);
    });
    connection.once("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    connection.once("error", reject);
  });
}
