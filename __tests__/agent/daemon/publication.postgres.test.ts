import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "./eventually";
import { type RunningDaemon, usePair } from "./pair";

const pair = usePair();
const COPY = { DO_SNAPSHOT: "true" };

async function refused(said: string, daemon: RunningDaemon = pair.launch(COPY)): Promise<void> {
  await eventually("the end of the daemon", async () => expect(daemon.process.exitCode).toBe(78), 15_000);
  expect(daemon.lines.join("\n")).toContain(said);
}

/** The statement at the end of the daemon's reason. */
function statementIn(daemon: RunningDaemon): string {
  const failure = daemon.lines.find((line) => line.includes('"cannot go on"'));
  return /ALTER .*/.exec(JSON.parse(failure ?? "{}").reason)?.[0] ?? "";
}

const TABLE = "create table item (id int primary key, note text); insert into item values (1, 'a'), (20, 'b')";
const PARTITIONED = `
  create table item (id int primary key, note text) partition by range (id);
  create table item_1 partition of item for values from (0) to (100);
  insert into item values (1, 'a'), (20, 'b');
`;

test.each([
  ["rows", TABLE, "table item where (id > 10) with (publish_via_partition_root)", "leaves out rows or columns of item"],
  ["columns", TABLE, "table item (id) with (publish_via_partition_root)", "leaves out rows or columns of item"],
  ["kinds of changes", TABLE, "table item with (publish = 'insert')", "leaves out operations"],
  ["the name of a partitioned table", PARTITIONED, "table item", "has the partitions of item in place of it"],
])(
  "a publication that leaves out %s is refused, and the statement that it comes with mends it",
  async (_, table, publication, said) => {
    await pair.source.query(`${table}; create publication copy for ${publication}`);
    const daemon = pair.launch(COPY);
    await refused(said, daemon);

    await pair.source.query(statementIn(daemon));

    await pair.start(COPY);
    await pair.source.query(
      "update item set note = 'c'; delete from item where id = 1; insert into item values (2, 'd')",
    );
    await pair.equal("item");
  },
);

test.each([
  ["kinds of changes", TABLE, "publish = 'insert'", "publish = 'insert, update, delete, truncate'"],
  [
    "the name of a partitioned table",
    PARTITIONED,
    "publish_via_partition_root = false",
    "publish_via_partition_root = true",
  ],
])(
  "a publication that leaves out %s for a while ends the daemon, and what it left out is not forgotten once it is mended",
  async (_, table, less, whole) => {
    await pair.source.query(table);
    const daemon = await pair.start(COPY);
    await pair.source.query(`alter publication copy set (${less})`);
    await pair.source.query("delete from item where id = 1");
    await refused("item: publication copy leaves out changes of it", daemon);
    await pair.source.query(`alter publication copy set (${whole})`);
    await refused("item: publication copy has not held it all the time");

    await pair.sink.query("truncate item");
    await pair.sink.query("delete from holdfast.snapshot where slot_name = $1 and table_name = 'item'", [
      pair.slotName,
    ]);

    await pair.start(COPY);
    await pair.equal("item");
  },
);

test("what a publication has left out is not forgotten where that is seen in the middle of a transaction", async () => {
  await pair.source.query(TABLE);
  const daemon = await pair.start({ ...COPY, FLUSH_SIZE: "1" });
  // GIVEN a transaction of which the sink takes one row before the next look at the publication is due, and the others after
  await pair.sink.query("begin; lock table item in share mode");
  await pair.source.query("insert into item select i, 'new' from generate_series(100, 110) i");
  await eventually("the daemon waits for the sink", async () => {
    const { rowCount } = await pair.source.query("select from pg_stat_activity where wait_event_type = 'Lock'");
    expect(rowCount).toBe(1);
  });
  await pair.source.query("alter publication copy set (publish = 'insert')");
  await pair.source.query("delete from item where id = 1");
  await pause(6_000);
  await pair.sink.query("commit");
  await refused("item: publication copy leaves out changes of it", daemon);

  await pair.source.query("alter publication copy set (publish = 'insert, update, delete, truncate')");

  expect(await pair.rows("sink", "item")).toHaveLength(2);
  await refused("item: publication copy has not held it all the time");
});

test("a publication that leaves changes out and is mended in the same transaction is noticed, and not forgotten", async () => {
  await pair.source.query(TABLE);
  const daemon = await pair.start(COPY);
  await pair.source.query(`
    begin;
    alter publication copy set (publish = 'insert');
    delete from item where id = 1;
    alter publication copy set (publish = 'insert, update, delete, truncate');
    commit;
  `);
  await refused("item: publication copy was altered", daemon);
  await refused("item: publication copy was altered");
});
