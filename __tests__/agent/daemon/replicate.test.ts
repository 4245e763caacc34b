import type { Connection } from "../../../agent/daemon/connection";
import { Lifecycle } from "../../../agent/daemon/lifecycle";
import type { Lsn } from "../../../agent/daemon/lsn";
import { replicate } from "../../../agent/daemon/replicate";
import type { ReplicationStream, StreamMessage } from "../../../agent/daemon/source/stream";
import type { ReplicatedTable } from "../../../agent/daemon/table";

const TABLE: ReplicatedTable = {
  name: { schema: "public", table: "item", label: "item" },
  oid: 1,
  source: "item",
  sourceRows: "item",
  sink: "item",
  columns: [{ name: "id", type: "integer", typeOid: 23, typeMod: -1, notNull: true }],
  key: [0],
};
const said = (message: object) => message as StreamMessage;
const RELATION = said({
  ...{ tag: "relation", relationOid: 1, schema: "public", name: "item", replicaIdentity: "default" },
  ...{ columns: TABLE.columns, keyColumns: ["id"] },
});
const BEGIN = said({ tag: "begin", commitTime: 0n });
const insert = (id: number) => said({ tag: "insert", relation: { relationOid: 1 }, new: { id: `${id}` } });
const commit = (end: string) => said({ tag: "commit", commitEndLsn: end });

/** A daemon that follows a source which says what the test has it say; it writes a batch when it is told to come to rest. */
function follow() {
  const lifecycle = new Lifecycle();
  const written: string[] = [];
  const acknowledged: Lsn[] = [];
  const queue: StreamMessage[] = [];
  let wake = () => {};
  const stream: ReplicationStream = {
    next: async () => {
      if (queue.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return queue.shift();
    },
    wake: () => wake(),
    acknowledge: (lsn) => void acknowledged.push(lsn),
    serverWalEnd: 0n,
    close: () => {},
  };
  const query = async (text: string, values: readonly string[] = []) => {
    if (text === "commit") written.push(text);
    if (text.startsWith("insert")) written.push(...values.map((id) => `row ${id}`));
    return { rows: [], rowCount: 1 };
  };
  const ended = replicate({
    ...{ stream, lifecycle, tables: [TABLE], from: 0n, last: undefined, catchUpTo: undefined },
    sink: { query } as unknown as Connection,
    claim: { slotName: "slot", fence: 1n, holder: "holder" },
    flush: { changes: 1_000, intervalMs: 600_000 },
    readSourceRow: async () => undefined,
    isUnchanged: async () => true,
    sourceEnd: async () => 0n,
  });
  return {
    ...{ lifecycle, written, acknowledged },
    /** Resolves once all of it was read. */
    says: async (...messages: StreamMessage[]) => {
      queue.push(...messages);
      wake();
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      expect(queue).toEqual([]);
    },
    end: async () => {
      lifecycle.command("stop");
      await ended;
    },
  };
}

test("a pause in the middle of a transaction writes it whole, once its end has come", async () => {
  const { lifecycle, written, acknowledged, says, end } = follow();
  await says(RELATION, BEGIN, insert(1), commit("0/A"), BEGIN, insert(2));

  lifecycle.command("pause");
  await says();
  expect(written).toEqual([]);

  await says(insert(3), commit("0/14"));
  expect(written).toEqual(["row 1", "row 2", "row 3", "commit"]);
  expect(acknowledged).toEqual([0x14n]);
  await end();
});

test("an urgent keepalive in the middle of a transaction acknowledges nothing of it, however far the source's log has come", async () => {
  const { acknowledged, says, end } = follow();
  await says(RELATION, BEGIN, said({ tag: "keepalive", walEnd: 100n, urgent: true }));
  expect(acknowledged).toEqual([]);

  await says(insert(1), commit("0/32"), said({ tag: "keepalive", walEnd: 200n, urgent: true }));
  expect(acknowledged).toEqual([]);
  await end();
});
