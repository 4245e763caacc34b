import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type LeavesAt, type MetadataAnswer, metadataService } from "./service";

export interface MetadataServer {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * Serves {@link metadataService} on a free port of `host`, which must be an address that the instances reach: the one that they
 * ask, 169.254.169.254, is translated to it on their side.
 */
export async function startMetadataServer(host: string, leavesAt: LeavesAt): Promise<MetadataServer> {
  const service = metadataService(leavesAt);
  const server = createServer(({ method = "", url = "", headers, socket }, response) => {
    const { remoteAddress: address = "" } = socket;
    service
      .answer({ method, path: url, headers, address })
      .catch((error: Error): MetadataAnswer => ({ status: 500, body: `${error.message}\n` }))
      .then(({ status, headers, body }) => {
        // EC2's keeps no connection open.
        response.writeHead(status, { "content-type": "text/plain", connection: "close", ...headers });
        response.end(body);
      });
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
