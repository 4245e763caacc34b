import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { asCloudError } from "../../../scripts/rolling-update/aws/sdk-cloud";
import { ATTEMPT_TIMEOUT_MS, CALL_ATTEMPTS, MUTATION_MARGIN_MS } from "../../../scripts/rolling-update/lock";
import { ROLL_ADAPTERS } from "../../support/roll-adapters";
import { useTestCredentials } from "../../support/test-credentials";

jest.setTimeout(300_000);

useTestCredentials();

const SILENCE = {
  nothing: "",
  "half an answer": "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 1000\r\n\r\n<Half>",
};

test("R8: attempts of a call and the pauses between them fit into what a lease has left", () => {
  expect(ATTEMPT_TIMEOUT_MS * CALL_ATTEMPTS).toBeLessThan(MUTATION_MARGIN_MS);
});

test.each(["ENOTFOUND", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "EPIPE", "ECONNRESET", "EAI_AGAIN"])(
  "R20: a network that is joined or left meanwhile (%s) is what passes",
  (code) => {
    const error = Object.assign(new Error(`connect ${code}`), { code });

    expect(asCloudError("describeGroups", error)).toMatchObject({ code, kind: "transient" });
  },
);

describe.each(ROLL_ADAPTERS)("AWS through $name", ({ cloud, systemsManager }) => {
  test.concurrent.each(Object.entries(SILENCE))(
    "R8: that says %s fails a call in the end, as what passes",
    async (_, said) => {
      const server = createServer(({ socket }) => void socket.write(said)).listen(0, "127.0.0.1");
      await once(server, "listening");
      const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

      const results = await Promise.allSettled([
        cloud("eu-west-1", endpoint).suspendLaunch("orders-00"),
        systemsManager("eu-west-1", endpoint).call("DeleteParameter", { Name: "/lock" }),
      ]);

      const failure = {
        status: "rejected",
        reason: expect.objectContaining({ name: "CloudError", kind: "transient" }),
      };
      expect(results).toEqual([failure, failure]);
      server.closeAllConnections();
      server.close();
    },
  );
});
