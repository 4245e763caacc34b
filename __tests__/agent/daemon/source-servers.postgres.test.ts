import { eventually } from "./eventually";
import { usePair } from "./pair";

const pair = usePair();
const COPY = { DO_SNAPSHOT: "true" };

beforeEach(() => pair.source.query("create table item (id int primary key); insert into item values (1)"));

test("a daemon that another has taken over from does not drop the slot, whatever it is told", async () => {
  const first = await pair.start({ ...COPY, HOLDFAST_FENCE: "8" });
  const second = pair.launch({ ...COPY, HOLDFAST_FENCE: "9" });
  await eventually("the second has claimed", async () =>
    expect((await pair.sink.query("select from holdfast.fence_log")).rowCount).toBe(2),
  );

  await first.post("/cdc/stop", '{"skip_slot_cleanup": false}');

  expect(await first.ended).toBe(77);
  await second.reaches("cdc");
  await pair.source.query("insert into item values (2)");
  await pair.equal("item");
});

test("a source whose log ends before what the sink has, as after a restore, is a hole", async () => {
  const daemon = await pair.start(COPY);
  daemon.process.kill("SIGTERM");
  await daemon.ended;
  await pair.sink.query("update holdfast.replication set lsn = lsn + 1000000000");
  const next = pair.launch(COPY);
  await eventually("the end of the daemon", async () => expect(next.process.exitCode).toBe(78), 15_000);
  expect(next.lines.join("\n")).toMatch(/but the source's log ends at [0-9A-F/]+: it is older than the sink/);
});

test("a slot that has lost its log is a hole, and the way out leads to equal tables", async () => {
  const daemon = await pair.start(COPY);
  daemon.process.kill("SIGTERM");
  await daemon.ended;
  const setting = async (statement: string) => {
    await pair.sink.query(statement);
    await pair.sink.query("select pg_reload_conf()");
  };
  await setting("alter system set max_slot_wal_keep_size = '1MB'");
  try {
    await eventually("the slot is lost", async () => {
      await pair.source.query("select pg_switch_wal()");
      await pair.source.query("insert into item select coalesce(max(id), 0) + 1 from item");
      await pair.source.query("checkpoint");
      const { rows } = await pair.source.query("select wal_status from pg_replication_slots where slot_name = $1", [
        pair.slotName,
      ]);
      expect(rows[0].wal_status).toBe("lost");
    });
  } finally {
    await setting("alter system reset max_slot_wal_keep_size");
  }
  const next = pair.launch(COPY);
  expect(await next.ended).toBe(78);
  expect(next.lines.join("\n")).toContain(
    "Drop the slot, delete its rows from holdfast.snapshot and then holdfast.replication, empty the sink's tables and copy again",
  );

  await pair.source.query("select pg_drop_replication_slot($1)", [pair.slotName]);
  await pair.sink.query("delete from holdfast.snapshot; delete from holdfast.replication; truncate item");

  await pair.start(COPY);
  await pair.equal("item");
});
