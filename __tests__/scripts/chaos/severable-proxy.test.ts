import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { type Destination, SeverableProxy } from "../../../scripts/chaos/severable-proxy";

/** Answers each message with its own name and the message. */
async function echo(name: string): Promise<{ server: Server; destination: Destination; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => socket.write(`${name}:${bytes}`));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, destination: { name, port: (server.address() as AddressInfo).port }, sockets };
}

const told = async (socket: Socket): Promise<string> => String((await once(socket, "data"))[0]);

/** A round trip through another connection: what could have arrived before it has arrived. */
async function roundTrip(port: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.write("x");
  await told(socket);
  socket.destroy();
}

describe("a proxy", () => {
  let left: Awaited<ReturnType<typeof echo>>;
  let right: Awaited<ReturnType<typeof echo>>;
  let proxy: SeverableProxy;

  beforeEach(async () => {
    left = await echo("left");
    right = await echo("right");
    proxy = await SeverableProxy.listen([left.destination, right.destination]);
  });
  afterEach(async () => {
    await proxy.close();
    for (const { server, sockets } of [left, right]) {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });

  const opened = async (): Promise<Socket> => {
    const socket = connect(proxy.port, "127.0.0.1");
    await once(socket, "connect");
    return socket;
  };

  test("spreads connections over those that listen", async () => {
    const answers = [];
    for (let turn = 0; turn < 4; turn++) {
      const socket = await opened();
      socket.write("a");
      answers.push(await told(socket));
      socket.destroy();
    }
    expect(answers.sort()).toEqual(["left:a", "left:a", "right:a", "right:a"]);
    left.destination.port = undefined;
    const socket = await opened();
    socket.write("b");
    expect(await told(socket)).toBe("right:b");
    socket.destroy();
  });

  test("delivers nothing while it is cut, and all of it in order afterwards", async () => {
    right.destination.port = undefined;
    const socket = await opened();
    socket.write("1");
    expect(await told(socket)).toBe("left:1");
    const heal = proxy.cut(left.destination);
    let heard = "";
    socket.on("data", (bytes) => {
      heard += bytes;
    });
    socket.write("2");
    await roundTrip(left.destination.port ?? 0);
    expect(heard).toBe("");
    heal();
    while (!heard.includes("2")) await once(socket, "data");
    expect(heard).toBe("left:2");
    socket.destroy();
  });

  test("a new connection is silent too, and two cuts need two healings", async () => {
    right.destination.port = undefined;
    const [one, other] = [proxy.cut(left.destination), proxy.cut(left.destination)];
    const socket = await opened();
    let heard = false;
    socket.on("data", () => {
      heard = true;
    });
    socket.write("1");
    one();
    await roundTrip(left.destination.port ?? 0);
    expect(heard).toBe(false);
    other();
    expect(await told(socket)).toBe("left:1");
    socket.destroy();
  });

  test("an end that dies during a cut is heard of afterwards only", async () => {
    right.destination.port = undefined;
    const socket = await opened();
    socket.write("1");
    await told(socket);
    const heal = proxy.cut(left.destination);
    const [far] = left.sockets;
    let closed = false;
    far?.once("close", () => {
      closed = true;
    });
    socket.destroy();
    await roundTrip(left.destination.port ?? 0);
    expect(closed).toBe(false);
    heal();
    if (!closed && far) await once(far, "close");
    expect(closed).toBe(true);
  });
});
