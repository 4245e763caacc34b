import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { startEmulatedAws } from "../emulator/emulated-aws";
import type { Emulator } from "../emulator/moto";

export interface CountedAws extends Emulator {
  /** Requests since this was last asked. */
  readonly calls: () => number;
}

/** An emulated AWS of its own behind a door that counts: what comes through is what the provider sent, retries included. */
export async function startCountedAws(): Promise<CountedAws> {
  const aws = await startEmulatedAws();
  const { hostname, port } = new URL(aws.url);
  let count = 0;
  const door = createServer((incoming, outgoing) => {
    count += 1;
    const { method, url: path, headers } = incoming;
    const onward = request({ hostname, port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on("error", () => outgoing.destroy());
    incoming.pipe(onward);
  });
  // A connection that ends while a client writes to it is a request that the client may not repeat.
  door.keepAliveTimeout = 0;
  door.listen(0, "127.0.0.1");
  await once(door, "listening");
  return {
    url: `http://127.0.0.1:${(door.address() as AddressInfo).port}`,
    calls: () => {
      const counted = count;
      count = 0;
      return counted;
    },
    stop: async () => {
      door.close();
      door.closeAllConnections();
      await aws.stop();
    },
  };
}
