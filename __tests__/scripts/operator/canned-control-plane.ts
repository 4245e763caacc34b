import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A server that answers what it is told to, in place of a control plane. */
export interface CannedControlPlane {
  readonly url: string;
  /** What it was asked: `POST /api/v1/tokens`. */
  readonly asked: readonly string[];
  /** With which status it answers. @default - 200 */
  status: (asked: string) => number;
  /** What it answers, once it has done what a test wants done meanwhile. */
  answer: (asked: string) => unknown;
}

/** Gives each test of the file a server of its own. */
export function useCannedControlPlane(): CannedControlPlane {
  let server: Server;
  let asked: string[] = [];
  const canned = {
    get url() {
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    },
    get asked() {
      return asked;
    },
    status: (_: string): number => 200,
    answer: (_: string): unknown => ({}),
  };
  beforeEach(async () => {
    asked = [];
    canned.status = () => 200;
    server = createServer(({ method, url }, response) => {
      const what = `${method} ${url}`;
      asked.push(what);
      void Promise.resolve(canned.answer(what)).then((answer) =>
        response.writeHead(canned.status(what), { "content-type": "application/json" }).end(JSON.stringify(answer)),
      );
    });
    await new Promise<void>((listens) => server.listen(0, "127.0.0.1", listens));
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  return canned;
}
