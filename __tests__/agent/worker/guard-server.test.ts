import { once } from "node:events";
import { createConnection, type Server } from "node:net";
import { join } from "node:path";
import { createLog } from "../../../agent/host/log";
import { guardClient } from "../../../agent/worker/guard-client";
import type { GuardRequest } from "../../../agent/worker/guard-protocol";
import { serveGuard } from "../../../agent/worker/guard-server";
import { eventually } from "../../support/eventually";
import { useScratch } from "../../support/scratch";
import { recordOf } from "./daemon/daemon-record";

const scratch = useScratch();
let server: Server | undefined;
afterEach(() => void server?.close());

test("a guard that cannot accept a connection, however often, says so and answers the next", async () => {
  const lines: string[] = [];
  const path = join(scratch.path, "socket");
  const log = createLog((line) => lines.push(line));
  server = await serveGuard(path, async () => ({ secrets: { unit: ["canary"] } }), log);

  for (let time = 0; time < 3; time++) server.emit("error", new Error("accept ENFILE"));

  expect(await guardClient(path).secrets()).toEqual({ unit: ["canary"] });
  expect(lines.filter((line) => line.includes("accept ENFILE"))).toHaveLength(3);
});

test("a request that is taken back before it is said, as an older lease is by a newer one, is no refusal", async () => {
  const lines: string[] = [];
  const path = join(scratch.path, "socket");
  const log = createLog((line) => lines.push(line));
  server = await serveGuard(path, async () => ({}), log);

  const taken = createConnection(path);
  await once(taken, "connect");
  taken.end();
  await once(taken.resume(), "close");
  const wrong = createConnection(path);
  await once(wrong, "connect");
  wrong.end("no request");
  await once(wrong.resume(), "close");

  expect(lines.map((line) => JSON.parse(line).reason)).toEqual(["the request is not JSON"]);
});

test("one that may not listen there says so", async () => {
  const path = join(scratch.path, "none", "socket");

  await expect(serveGuard(path, async () => ({}), createLog())).rejects.toThrow(path);
});

test("what an agent asks stays as it is: the guard of its instance is of the boot's version, whatever the agent was upgraded to", async () => {
  const { jobId, fence } = recordOf();
  const ref = { jobId, fence };
  const lease = { sentAt: { monotonicMs: 1, wallMs: 2 }, leaseMs: 3 };
  const daemon = { bound: true, variables: {}, files: {}, limits: { memoryBytes: 1, cpuPercent: 100 } };
  const asked: GuardRequest[] = [];
  const path = join(scratch.path, "socket");
  server = await serveGuard(
    path,
    async (request) => {
      asked.push(request);
      return {};
    },
    createLog(),
  );

  const client = guardClient(path);
  client.holdLease(lease);
  await eventually(async () => (asked.length > 0 ? true : undefined));
  await client.start({ ...ref, ...daemon });
  await client.signal(ref, "SIGTERM");
  await client.secrets();
  await client.forget(ref);

  expect(asked).toEqual([
    { kind: "lease", lease },
    { kind: "start", lease, ...ref, ...daemon },
    { kind: "signal", ...ref, signal: "SIGTERM" },
    { kind: "secrets" },
    { kind: "forget", ...ref },
  ]);
});
