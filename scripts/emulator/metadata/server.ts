import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Leaves } from "./leaves";
import { metadataService } from "./service";

export interface MetadataServer {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * Serves {@link metadataService} on a free port of `host`, which must be an address that the instances reach: the one that they
 * ask, 169.254.169.254, is translated to it on their side.
 */
export async function startMetadataServer(
  host: string,
  leavesAt: (address: string) => Leaves | undefined,
): Promise<MetadataServer> {
  const service = metadataService(leavesAt);
  const server = createServer(({ method = "", url = "", headers, socket }, response) => {
    const { remoteAddress = "" } = socket;
    const answer = service.answer({ method, path: url, headers, address: remoteAddress });
    // EC2's keeps no connection open.
    response.writeHead(answer.status, { "content-type": "text/plain", connection: "close", ...answer.headers });
    response.end(answer.body);
  });
  server.listen(0, host);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
