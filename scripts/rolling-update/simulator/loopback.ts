import { randomInt } from "node:crypto";
import { createServer, type Server } from "node:net";

/** Addresses for nodes of their own on the loopback network, all of which Linux answers to. */
export function loopbackAddresses(count: number): string[] {
  const network = `127.${randomInt(16, 255)}.${randomInt(256)}`;
  return Array.from({ length: count }, (_, index) => `${network}.${index + 1}`);
}

/** Ports that are free on every one of the addresses; the kernel chooses them. */
export async function freePorts(addresses: readonly string[], count: number): Promise<number[]> {
  const ports: number[] = [];
  const held: Server[] = [];
  try {
    for (let attempt = 0; ports.length < count; attempt++) {
      if (attempt > 20 * count) throw new Error(`no ${count} ports are free on ${addresses.join(", ")}`);
      let port = 0;
      const servers: Server[] = [];
      try {
        for (const address of addresses) {
          const server = await listening(address, port);
          servers.push(server);
          port = portOf(server);
        }
        ports.push(port);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      } finally {
        held.push(...servers);
      }
    }
    return ports;
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

function listening(address: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, address, () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}
