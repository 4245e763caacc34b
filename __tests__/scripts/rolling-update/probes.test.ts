import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import type { ManifestNode } from "../../../scripts/rolling-update/manifest";
import {
  commandCheck,
  httpCheck,
  majorityProbe,
  type NodeCheck,
  tcpCheck,
} from "../../../scripts/rolling-update/probes/node-checks";

const TIMEOUT_MS = 1_000;
/** Every node has an address of its own on the loopback network. */
const nodes: ManifestNode[] = [1, 2, 3].map((number) => ({
  id: `0${number}`,
  group: `g-${number}`,
  interfaceId: `eni-${number}`,
  volumeIds: [],
  zone: "a",
  ip: `127.0.0.1${number}`,
}));

interface Fixture {
  readonly check: NodeCheck;
  readonly stop: (ip: string) => Promise<void>;
  readonly close: () => Promise<void>;
}

async function listening(make: () => Server): Promise<{ port: number; servers: Map<string, Server> }> {
  const servers = new Map<string, Server>();
  let port = 0;
  for (const { ip } of nodes) {
    const server = make();
    await new Promise<void>((resolve) => server.listen(port, ip, resolve));
    port = (server.address() as AddressInfo).port;
    servers.set(ip, server);
  }
  return { port, servers };
}

const closing = (server: Server | undefined) =>
  new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));

const KINDS: Readonly<Record<string, () => Promise<Fixture>>> = {
  tcp: async () => {
    const { port, servers } = await listening(() => createTcpServer((socket) => socket.end()));
    return fixture(tcpCheck(port, TIMEOUT_MS), servers);
  },
  http: async () => {
    const { port, servers } = await listening(() => createHttpServer((_request, response) => response.end("ok")));
    return fixture(httpCheck(`http://{ip}:${port}/health`, TIMEOUT_MS), servers);
  },
  command: async () => {
    const { port, servers } = await listening(() => createTcpServer((socket) => socket.end()));
    const script = `require("net").connect(${port}, process.env.NODE_IP).on("connect", () => process.exit(0)).on("error", (e) => { console.error(e.message); process.exit(1); })`;
    return fixture(commandCheck(process.execPath, ["-e", script], 20_000), servers);
  },
};

function fixture(check: NodeCheck, servers: Map<string, Server>): Fixture {
  return {
    check,
    stop: (ip) => closing(servers.get(ip)),
    close: async () => void (await Promise.all([...servers.values()].map(closing))),
  };
}

describe.each(Object.keys(KINDS))("the %s check", (kind) => {
  let running: Fixture;
  beforeEach(async () => {
    running = await (KINDS[kind] as () => Promise<Fixture>)();
  });
  afterEach(() => running.close());

  test("R11: finds all nodes well, and lets one go", async () => {
    const probe = majorityProbe([running.check]);

    const health = await probe.health(nodes);

    expect([...health.values()]).toEqual([{ ok: true }, { ok: true }, { ok: true }]);
    await expect(probe.canRoll(nodes.slice(0, 1), nodes)).resolves.toEqual({ ok: true });
  });

  test("R11: names the node that is down, and then lets no other go", async () => {
    const probe = majorityProbe([running.check]);
    await running.stop("127.0.0.12");

    const health = await probe.health(nodes);

    expect(health.get("01")).toEqual({ ok: true });
    expect(health.get("02")).toEqual({ ok: false, reason: expect.stringContaining("127.0.0.12") });
    await expect(probe.canRoll(nodes.slice(0, 1), nodes)).resolves.toMatchObject({ ok: false });
    await expect(probe.canRoll(nodes.slice(1, 2), nodes)).resolves.toEqual({ ok: true });
  });

  test("R11: lets no two of three go together", async () => {
    await expect(majorityProbe([running.check]).canRoll(nodes.slice(0, 2), nodes)).resolves.toMatchObject({
      ok: false,
    });
  });
});

describe("a check that gets no answer", () => {
  test("R11: is over at its limit, and the node is not well", async () => {
    const server = createHttpServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.11", resolve));
    const { port } = server.address() as AddressInfo;

    const answer = await httpCheck(`http://{ip}:${port}/`, 50)(nodes[0] as ManifestNode);

    expect(answer).toEqual({ ok: false, reason: "no answer within 50 ms" });
    server.closeAllConnections();
    server.close();
  });

  test("R11: an answer other than 2xx is not well", async () => {
    const server = createHttpServer((_request, response) => response.writeHead(503).end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.11", resolve));
    const { port } = server.address() as AddressInfo;

    const answer = await httpCheck(`http://{ip}:${port}/`, 5_000)(nodes[0] as ManifestNode);

    expect(answer).toEqual({ ok: false, reason: expect.stringContaining("answers 503") });
    server.close();
  });
});
