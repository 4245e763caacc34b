import { EventEmitter, once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { guardClient } from "../../../agent/worker/guard-client";
import { useScratch } from "../../support/scratch";
import { recordOf } from "./daemon/daemon-record";

const scratch = useScratch();
let server: Server | undefined;
const connections: Socket[] = [];
afterEach(() => {
  jest.useRealTimers();
  for (const connection of connections.splice(0)) connection.destroy();
  server?.close();
});

/** A guard that does so with each connection. @returns its socket. */
async function guardThat(act: (connection: Socket, number: number) => void): Promise<string> {
  const path = join(scratch.path, "socket");
  server = createServer({ allowHalfOpen: true }, (connection) => act(connection, connections.push(connection)));
  await once(server.listen(path), "listening");
  return path;
}

test("a guard that ends before it has told the daemons' secrets is asked again when it is back", async () => {
  const path = await guardThat((connection, number) => {
    if (number === 1) connection.destroy();
    else connection.end(JSON.stringify({ secrets: { unit: ["canary"] } }));
  });

  expect(await guardClient(path).secrets()).toEqual({ unit: ["canary"] });
});

test("what a guard does not know to tell is not asked for again", async () => {
  const path = await guardThat((connection) => connection.end(JSON.stringify({ error: "the request is not usable" })));

  await expect(guardClient(path).secrets()).rejects.toThrow("the request is not usable");
  expect(connections).toHaveLength(1);
});

test("a start that waits for too long is taken back: a guard that turns again does not carry it out after what was asked next", async () => {
  // GIVEN a guard that stands still before a start of which its socket holds a part
  jest.useFakeTimers({ doNotFake: ["nextTick", "queueMicrotask", "setImmediate"] });
  const starts = new EventEmitter();
  const path = await guardThat((connection, number) => {
    if (number === 1) connection.end("{}");
    else starts.emit("start", connection.pause());
  });
  const client = guardClient(path);
  client.holdLease({ sentAt: { monotonicMs: 0, wallMs: 0 }, leaseMs: 60_000 });
  const { jobId, fence } = recordOf();
  const variables = { TABLES: "x".repeat(3_000_000) };
  const asked = once(starts, "start");
  const start = { jobId, fence, bound: true, variables, files: {}, limits: { memoryBytes: 1, cpuPercent: 100 } };
  const refused = expect(client.start(start)).rejects.toThrow("ask the guard to start did not finish within 60 s");
  const [connection] = await asked;

  // WHEN nobody waits for it any more
  jest.advanceTimersByTime(60_000);
  await refused;

  // THEN what the guard reads of it is no request
  const read = await text(connection);
  expect(read).toMatch(/^\{"kind":"start"/);
  expect(() => JSON.parse(read)).toThrow();
});
