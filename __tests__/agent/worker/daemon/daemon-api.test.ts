import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { daemonApi } from "../../../../agent/worker/daemon/daemon-api";

const HEALTH = JSON.stringify({ status: "serving", stage: "cdc", stage_detail: "", error_detail: "" });

let server: Server | undefined;
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
});

async function daemon(answer: RequestListener) {
  const started = createServer(answer);
  server = started;
  await new Promise<void>((resolve) => started.listen(0, "127.0.0.1", resolve));
  return daemonApi((started.address() as AddressInfo).port);
}

test("looks at a daemon share a connection", async () => {
  const ports = new Set<number | undefined>();
  const api = await daemon(({ socket }, response) => {
    ports.add(socket.remotePort);
    response.end(HEALTH);
  });
  for (let look = 0; look < 5; look++) expect(await api.health()).toMatchObject({ status: "serving" });
  expect(ports.size).toBe(1);
});

test("a connection that the daemon has let go is made again", async () => {
  const api = await daemon((_, response) => response.end(HEALTH));
  await api.health();
  server?.closeAllConnections();
  await new Promise(setImmediate);
  expect(await api.health()).toMatchObject({ status: "serving" });
});

test.each<[string, RequestListener, string]>([
  ["refuses", (_, response) => response.writeHead(500).end("no"), "health: 500"],
  ["sends elsewhere", (_, response) => response.writeHead(302, { location: "/" }).end(), "health: 302"],
  ["hangs up", ({ socket }) => void socket.destroy(), "socket hang up"],
  ["hangs up within its answer", ({ socket }, response) => response.write("{", () => socket.destroy()), "aborted"],
  ["says nothing that is JSON", (_, response) => response.end("<html>"), "JSON"],
  ["lacks what it must say", (_, response) => response.end("{}"), "health: status is not a text"],
])("one that %s is an error", async (_, answer, why) => {
  const api = await daemon(answer);
  await expect(api.health()).rejects.toThrow(why);
});

test("one that does not answer is given up after five seconds", async () => {
  const api = await daemon(() => {});
  await expect(api.health()).rejects.toThrow("aborted");
});
