import { eventually } from "./eventually";
import { type RunningDaemon, usePair } from "./pair";

const pair = usePair();
const COPY = { DO_SNAPSHOT: "true" };

async function refused(said: string, daemon: RunningDaemon = pair.launch(COPY)): Promise<void> {
  await eventually("the end of the daemon", async () => expect(daemon.process.exitCode).toBe(78), 15_000);
  expect(daemon.lines.join("\n")).toContain(said);
}

test("rows that a policy hides from the source's user are an error, not left out", async () => {
  await pair.source.query(`
    create table item (id int primary key);
    insert into item values (1), (2);
    create publication copy for table item with (publish_via_partition_root);
    create role reader login replication password 'pw';
    grant select on item to reader;
    grant execute on function pg_control_system() to reader;
    alter table item enable row level security;
    create policy odd on item to reader using (id % 2 = 1);
  `);
  const source = new URL(pair.environment["SOURCE_URL"] ?? "");
  source.username = "reader";
  source.password = "pw";
  try {
    await refused("row-level security", pair.launch({ ...COPY, SOURCE_URL: source.href }));
  } finally {
    await pair.source.query("drop owned by reader; drop role reader");
  }
});

test.each(["default", "full"])(
  "a primary key that can be deferred is refused under replica identity %s",
  async (identity) => {
    await pair.source.query(
      `create table item (id int primary key deferrable, note text); alter table item replica identity ${identity}`,
    );
    await refused("item has a DEFERRABLE primary key");
    // The daemon has not begun to keep others from changing it.
    await pair.source.query("insert into item values (1, 'a'), (2, 'b'); update item set id = id + 1");
  },
);

test("a primary key of a generated column is refused", async () => {
  await pair.source.query("create table item (a int, b int generated always as (a * 2) stored primary key)");
  await refused("item has the generated column b in its primary key");
});

test("a sink's table that a crash would empty is refused", async () => {
  await pair.source.query("create table item (id int primary key)");
  await pair.sink.query("create unlogged table item (id int primary key)");
  await refused(
    'item: the sink\'s table is UNLOGGED, and a crash would empty it: ALTER TABLE \\"public\\".\\"item\\" SET LOGGED',
  );
  await pair.sink.query("alter table item set logged");
  await pair.start(COPY);
});

test("rows of tables that inherit from a table are not its own, and can still be changed", async () => {
  await pair.source.query(`
    create table item (id int primary key, note text);
    create table special (extra text) inherits (item);
    insert into item values (1, 'own');
    insert into special values (2, 'of another', 'x');
  `);
  await pair.start(COPY);
  await pair.source.query("update special set note = 'changed'; update item set note = 'own again' where id = 1");
  await eventually("the change", async () => expect(await pair.rows("sink", "item")).toEqual(['(1,"own again")']));
});
