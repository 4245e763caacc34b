import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

/**
 * A port of the loopback interface that nobody listens on: the preferred one where it is free. Whoever opens a connection may have it
 * before it is listened on.
 */
export async function freePort(preferred = 0): Promise<number> {
  const probe = createServer().listen(preferred, "127.0.0.1");
  try {
    await once(probe, "listening");
  } catch (error) {
    if (preferred === 0 || (error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    return await freePort();
  }
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}
