import { eventually } from "./eventually";
import { type RunningDaemon, usePair } from "./pair";

const pair = usePair();
const COPY = { DO_SNAPSHOT: "true" };

beforeEach(() =>
  pair.source.query(
    "create table item (id int primary key, note text); insert into item values (1, 'old'), (2, 'old')",
  ),
);

async function ended(daemon: RunningDaemon): Promise<void> {
  daemon.process.kill("SIGTERM");
  expect(await daemon.ended).toBe(0);
}

async function refused(said: string, daemon: RunningDaemon = pair.launch(COPY)): Promise<void> {
  await eventually(`the end of the daemon\n${daemon.lines.join("\n")}`, async () =>
    expect(daemon.process.exitCode).toBe(78),
  );
  expect(daemon.lines.join("\n")).toContain(said);
}

/** What the message tells a person to do. */
async function copyAnew(): Promise<void> {
  await pair.sink.query("truncate item");
  await pair.sink.query("delete from holdfast.snapshot where slot_name = $1 and table_name = 'item'", [pair.slotName]);
}

const AGAIN = "alter table item drop column note; alter table item add column note text";
const SAID = "item: column note of the source is another one than it was";

test("a column that was dropped and added again while no daemon ran is refused until the table is copied anew", async () => {
  await ended(await pair.start(COPY));
  await pair.source.query(`${AGAIN}; update item set note = 'new' where id = 1`);
  for (let start = 0; start < 2; start++) await refused(SAID);

  await copyAnew();

  await ended(await pair.start(COPY));
  await pair.equal("item");
  await pair.start(COPY);
});

test("a column that is dropped and added again while the daemon runs ends it, and the next one", async () => {
  const daemon = await pair.start(COPY);
  await pair.source.query(AGAIN);
  await refused(SAID, daemon);
  await refused(SAID);
});

test("a column that the sink has lost and got again is refused: what it held is gone", async () => {
  await ended(await pair.start(COPY));
  await pair.sink.query(AGAIN);
  await refused("item: column note of the sink is not the one that was written to");
});

test("a renamed column that the sink got as a new one is refused; one that was renamed there too goes on", async () => {
  await ended(await pair.start(COPY));
  await pair.source.query("alter table item rename note to remark");
  await pair.sink.query("alter table item add column remark text");
  await refused("item: column remark of the sink is not the one that was written to");
  await pair.sink.query("alter table item drop column remark; alter table item rename note to remark");
  await ended(await pair.start(COPY));
  await pair.start(COPY);
  await pair.equal("item");
});

test("a column that goes for good, and another that comes, need no copy", async () => {
  await ended(await pair.start(COPY));
  await pair.source.query("alter table item drop column note, add column n int; update item set n = id");
  await pair.sink.query("alter table item drop column note, add column n int");
  await ended(await pair.start(COPY));
  await pair.start(COPY);
  await pair.equal("item");
});

test("`item` and `public.item` are one table, also where an earlier daemon kept it under the longer name", async () => {
  await ended(await pair.start(COPY));
  await pair.source.query("insert into item values (3, 'new')");
  const named = await pair.start({ ...COPY, TABLES: "public.item" });
  await pair.equal("item");
  expect((await named.get("/cdc/status")).json["tables"]).toEqual(["public.item"]);
  await ended(named);
  await pair.sink.query("update holdfast.snapshot set table_name = 'public.item'");

  await pair.start(COPY);

  await pair.source.query("delete from item where id = 1");
  await pair.equal("item");
  expect((await pair.sink.query("select table_name, away from holdfast.snapshot")).rows).toEqual([
    { table_name: "item", away: false },
  ]);
});
