import dns from "node:dns";
import { createServer, type Server } from "node:net";
import { connect } from "../../../agent/daemon/connection";
import { isTransient } from "../../../agent/daemon/failure";

async function failure(url: string): Promise<Error> {
  return await connect(url).then(
    () => Promise.reject(new Error("it connected")),
    (error) => error,
  );
}

async function silentServer(): Promise<Server> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return server;
}

const portOf = (server: Server) => (server.address() as { port: number }).port;

test("a server with several addresses, none of which answers, is named with each", async () => {
  const server = await silentServer();
  const port = portOf(server);
  await new Promise((closed) => server.close(closed));
  const addresses = ["127.0.0.1", "127.0.0.2"].map((address) => ({ address, family: 4 }));
  jest.spyOn(dns, "lookup").mockImplementation(((...args: unknown[]) => {
    (args.at(-1) as (error: null, found: unknown) => void)(null, addresses);
  }) as typeof dns.lookup);
  try {
    const error = await failure(`postgres://user@both.example:${port}/shop`);
    expect(error.message).toContain(`127.0.0.1:${port}`);
    expect(error.message).toContain(`127.0.0.2:${port}`);
    expect(isTransient(error)).toBe(true);
  } finally {
    jest.restoreAllMocks();
  }
});

test("a server that takes the connection and says nothing is named", async () => {
  const server = await silentServer();
  const sockets: { destroy(): void }[] = [];
  server.on("connection", (socket) => sockets.push(socket));
  jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate"] });
  try {
    const failed = failure(`postgres://user@127.0.0.1:${portOf(server)}/shop`);
    await jest.advanceTimersByTimeAsync(10_000);
    const error = await failed;
    expect(error.message).toBe(`127.0.0.1:${portOf(server)} did not answer within 10 s`);
    expect(isTransient(error)).toBe(true);
  } finally {
    jest.useRealTimers();
    for (const socket of sockets) socket.destroy();
    await new Promise((closed) => server.close(closed));
  }
});
