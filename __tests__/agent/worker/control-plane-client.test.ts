import { reason } from "../../../agent/host/log";
import { controlPlaneClient } from "../../../agent/worker/control-plane-client";

afterEach(() => jest.restoreAllMocks());

test("a control plane that no address of its name leads to is told with what became of each", async () => {
  // GIVEN what Node.js says of several addresses, which is nothing by itself
  const tried = ["connect ECONNREFUSED ::1:7600", "connect ECONNREFUSED 127.0.0.1:7600"];
  const cause = new AggregateError(tried.map((message) => new Error(message)));
  jest.spyOn(globalThis, "fetch").mockRejectedValue(new TypeError("fetch failed", { cause }));

  const refused = await controlPlaneClient("http://localhost:7600")
    .post("deregister", { reason: "" }, "token")
    .catch(reason);

  expect(refused).toBe(
    `deregister: no answer from http://localhost:7600/worker/v1/deregister: fetch failed: ${tried.join(", ")}`,
  );
});
