import * as connection from "../../../agent/daemon/connection";
import { Lifecycle } from "../../../agent/daemon/lifecycle";
import { copyTables } from "../../../agent/daemon/snapshot";
import { createLog } from "../../../agent/host/log";

jest.mock("../../../agent/daemon/connection");

const unfinished = ["item", "other"].map((name) => ({
  ...{ lastKey: null, begun: false },
  table: {
    ...{ name: { schema: "public", table: name, label: name }, oid: 1, source: name, sourceRows: name, sink: name },
    ...{ columns: [], key: [] },
  },
}));

test("a connection that is made after the copy has failed is not kept", async () => {
  let connected = (_: connection.Connection) => {};
  jest
    .mocked(connection.connect)
    .mockRejectedValueOnce(new Error("too many connections"))
    .mockImplementation(() => new Promise((resolve) => (connected = resolve)));
  const plan = {
    ...{ sourceUrl: "postgres://source", sinkUrl: "postgres://sink", snapshotName: "snapshot" },
    ...{ claim: { slotName: "slot", fence: 1n, holder: "holder" }, chunkRows: 10, parallelTables: 2 },
  };
  const copied = copyTables(
    plan,
    unfinished,
    new Lifecycle(),
    createLog(() => {}),
  );
  await expect(copied).rejects.toThrow("too many connections");

  const late = { query: async () => ({ rows: [] }) } as unknown as connection.Connection;
  connected(late);
  await new Promise((resolve) => setImmediate(resolve));

  expect(jest.mocked(connection.abandon).mock.calls.map(([dropped]) => dropped)).toEqual([late]);
});
