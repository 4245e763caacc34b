import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { controlPlaneClient } from "../../../agent/worker/control-plane-client";
import { type RunningServer, startHttpServer } from "../../support/http-server";

const PATIENCE_MS = 30_000;
jest.setTimeout(2 * PATIENCE_MS);

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

let server: RunningServer;
let collecting: NodeJS.Timeout;
beforeEach(async () => {
  server = await startHttpServer(() => undefined);
  collecting = setInterval(collectGarbage, 100);
});
afterEach(async () => {
  clearInterval(collecting);
  await server.close();
});

test.each([
  ["", {}],
  [" that can be hung up", { signal: new AbortController().signal }],
])(
  "a message%s is given up in time where no answer comes, whatever garbage was collected meanwhile",
  async (_, options) => {
    const { post } = controlPlaneClient(server.endpoint);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve("still waits"), PATIENCE_MS);
    });

    const posted = post("deregister", { reason: "test" }, "token", { timeoutMs: 1_000, ...options });

    const told = await Promise.race([posted.catch((error) => error), late]);
    clearTimeout(timer);
    expect(told).toMatchObject({ name: "ControlPlaneError", status: 0, cause: { name: "DeadlineError" } });
  },
);
