import type { Server } from "node:net";
import { join } from "node:path";
import { createLog } from "../../../agent/host/log";
import { guardClient } from "../../../agent/worker/guard-client";
import { serveGuard } from "../../../agent/worker/guard-server";
import { useScratch } from "../../support/scratch";

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

test("one that may not listen there says so", async () => {
  const path = join(scratch.path, "none", "socket");

  await expect(serveGuard(path, async () => ({}), createLog())).rejects.toThrow(path);
});
