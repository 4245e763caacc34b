import { createServer as createHttpServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import type { ManifestNode } from "../../../scripts/rolling-update/manifest";
import {
  commandCheck,
  httpCheck,
  majorityProbe,
  type NodeCheck,
  tcpCheck,
} from "../../../scripts/rolling-update/probes/node-checks";
import { freePorts, loopbackAddresses } from "../../../scripts/rolling-update/simulator/loopback";
import { nodesAt, PATIENCE_MS } from "../../support/running-cluster";

const nodes = nodesAt(loopbackAddresses(3));
const [first, second] = nodes as [ManifestNode, ManifestNode, ManifestNode];

interface Fixture {
  readonly check: NodeCheck;
  readonly stop: (ip: string) => Promise<void>;
  readonly close: () => Promise<void>;
}

async function listening(make: () => Server): Promise<{ port: number; servers: Map<string, Server> }> {
  const servers = new Map<string, Server>();
  const [port = 0] = await freePorts(
    nodes.map(({ ip }) => ip),
    1,
  );
  for (const { ip } of nodes) {
    const server = make();
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, ip, resolve));
    servers.set(ip, server);
  }
  return { port, servers };
}

const closing = (server: Server | undefined) =>
  new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));

const KINDS: Readonly<Record<string, () => Promise<Fixture>>> = {
  tcp: async () => {
    const { port, servers } = await listening(() => createTcpServer((socket) => socket.end()));
    return fixture(tcpCheck(port, PATIENCE_MS), servers);
  },
  http: async () => {
    const { port, servers } = await listening(() => createHttpServer((_request, response) => response.end("ok")));
    return fixture(httpCheck(`http://{ip}:${port}/health`, PATIENCE_MS), servers);
  },
  command: async () => {
    const { port, servers } = await listening(() => createTcpServer((socket) => socket.end()));
    const script = `require("net").connect(${port}, process.env.NODE_IP).on("connect", () => process.exit(0)).on("error", (e) => { console.error(e.message); process.exit(1); })`;
    return fixture(commandCheck(process.execPath, ["-e", script], PATIENCE_MS), servers);
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
    await running.stop(second.ip);

    const health = await probe.health(nodes);

    expect(health.get(first.id)).toEqual({ ok: true });
    expect(health.get(second.id)).toEqual({ ok: false, reason: expect.stringContaining(second.ip) });
    await expect(probe.canRoll(nodes.slice(0, 1), nodes)).resolves.toMatchObject({ ok: false });
    await expect(probe.canRoll(nodes.slice(1, 2), nodes)).resolves.toEqual({ ok: true });
  });

  test("R11: lets no two of three go together", async () => {
    await expect(majorityProbe([running.check]).canRoll(nodes.slice(0, 2), nodes)).resolves.toMatchObject({
      ok: false,
    });
  });
});

describe("the http check of a node that does not answer as it should", () => {
  /** What the check says of the first node while a server there handles requests so. */
  async function answerOf(handle: RequestListener, timeoutMs: number) {
    const server = createHttpServer(handle);
    await new Promise<void>((resolve) => server.listen(0, first.ip, resolve));
    const { port } = server.address() as AddressInfo;
    try {
      return await httpCheck(`http://{ip}:${port}/`, timeoutMs)(first);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  test("R11: is over at its limit, and the node is not well", async () => {
    expect(await answerOf(() => {}, 50)).toEqual({ ok: false, reason: "no answer within 50 ms" });
  });

  test("R11: takes an answer other than 2xx for not well", async () => {
    const answer = await answerOf((_request, response) => response.writeHead(503).end(), PATIENCE_MS);

    expect(answer).toEqual({ ok: false, reason: expect.stringContaining("answers 503") });
  });
});
