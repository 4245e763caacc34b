import { randomUUID } from "node:crypto";
import { createLog } from "../../../../agent/host/log";
import { connectionTests } from "../../../../agent/worker/connection-test/connection-tests";
import type { ControlPlaneClient } from "../../../../agent/worker/control-plane-client";

test("R35: a test that is asked for again while it is under way is carried out once, and four at a time; others wait to be asked again", async () => {
  // GIVEN a control plane that takes long to hear of a test
  const told: string[] = [];
  let hear = () => {};
  const heard = new Promise<void>((resolve) => {
    hear = resolve;
  });
  const post = async (_: string, { testId }: { testId: string }) => {
    told.push(testId);
    await heard;
  };
  const ask = connectionTests({
    controlPlane: { post } as unknown as ControlPlaneClient,
    session: { token: "session" },
    quirks: { plainConnectionsOnly: false },
    log: createLog(() => {}),
  });
  const connection = { engine: "none", url: "none", user: "", password: "p", options: {} };
  const askFor = async (testIds: readonly string[]) => {
    for (const testId of testIds) {
      ask({ kind: "test_connection", testId, role: "source", connection, deadlineMs: 60_000 });
    }
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const testIds = Array.from({ length: 5 }, () => randomUUID());

  // WHEN
  await askFor(testIds.flatMap((testId) => [testId, testId]));

  // THEN
  expect(told).toEqual(testIds.slice(0, 4));
  hear();
  await askFor([]);
  await askFor(testIds.slice(4));
  expect(told).toEqual(testIds);
});
