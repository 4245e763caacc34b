import { Client } from "pg";
import { eventually } from "./eventually";
import { type RunningDaemon, usePair } from "./pair";

const pair = usePair();

beforeEach(() =>
  pair.source.query(`
    create table item (id int primary key);
    create table added (id int primary key);
    insert into item values (1);
    insert into added values (1);
  `),
);

const BOTH = { TABLES: "item,added", DO_SNAPSHOT: "true" };

async function ended(daemon: RunningDaemon): Promise<void> {
  daemon.process.kill("SIGTERM");
  expect(await daemon.ended).toBe(0);
}

/** Runs the job with `item` alone, once. */
async function runWithoutAdded(): Promise<void> {
  await ended(await pair.start({ DO_SNAPSHOT: "true" }));
}

/** A transaction of its own on the source. */
async function opened(begin: string): Promise<Client> {
  const client = new Client({ connectionString: pair.environment["SOURCE_URL"] });
  await client.connect();
  await client.query(begin);
  return client;
}

async function waitsForTransactions(daemon: RunningDaemon): Promise<void> {
  await eventually("the daemon waits for transactions", async () =>
    expect(daemon.lines.join("\n")).toContain("the copy waits for transactions of the source"),
  );
}

test("a table that is added waits for the transactions that are open, and has their rows", async () => {
  await runWithoutAdded();
  // GIVEN a transaction that wrote to the table before the publication had it
  const open = await opened("begin; insert into added values (2)");
  const { rows } = await open.query("select pg_backend_pid() as pid");

  // WHEN the table is added, THEN nothing is copied, and the API answers
  const killed = pair.launch(BOTH);
  await waitsForTransactions(killed);
  expect(killed.lines.join("\n")).toContain(`"${rows[0].pid}"`);
  expect((await killed.get("/health")).json).toMatchObject({ status: "serving", stage: "snapshot" });
  killed.process.kill("SIGKILL");
  await killed.ended;
  // THEN the next process, which finds the publication as it shall be, waits as well
  const daemon = pair.launch(BOTH);
  await waitsForTransactions(daemon);
  expect(daemon.lines.join("\n")).not.toContain('"replicating"');
  expect(await pair.rows("sink", "added")).toEqual([]);

  // WHEN the transaction ends
  await open.query("insert into added values (3); commit");
  await pair.source.query("insert into added values (4)");
  await open.end();

  // THEN
  await daemon.reaches("cdc");
  await pair.equal("added");
});

test.each([
  ["SIGTERM", (daemon: RunningDaemon) => daemon.process.kill("SIGTERM")],
  ["a stop", (daemon: RunningDaemon) => daemon.post("/cdc/stop")],
  ["a drain", (daemon: RunningDaemon) => daemon.post("/cdc/drain")],
  [
    "a drain while it is paused",
    async (daemon: RunningDaemon) => {
      await daemon.post("/cdc/pause");
      await daemon.post("/cdc/drain");
    },
  ],
])("%s ends a copy that waits for transactions of the source", async (_, end) => {
  await runWithoutAdded();
  const open = await opened("begin; insert into added values (2)");
  const daemon = pair.launch(BOTH);
  await waitsForTransactions(daemon);

  await end(daemon);

  expect(await daemon.ended).toBe(0);
  await open.end();
});

test("a table that is added waits for no transaction that only reads", async () => {
  await runWithoutAdded();
  const open = await opened("begin isolation level repeatable read; select * from added");

  const daemon = await pair.start(BOTH);

  await pair.equal("added");
  expect(daemon.lines.join("\n")).not.toContain("waits for transactions");
  await open.end();
});

test("a table that is added waits for prepared transactions, and names them", async () => {
  await runWithoutAdded();
  await pair.source.query("begin; insert into added values (2); prepare transaction 'ready'");
  const daemon = pair.launch(BOTH);
  await waitsForTransactions(daemon);
  expect(daemon.lines.join("\n")).toContain('"ready"');

  await pair.source.query("commit prepared 'ready'");

  await daemon.reaches("cdc");
  await pair.equal("added");
});

/** What the message tells a person to do about one table. */
async function copyAnew(table: string): Promise<void> {
  await pair.sink.query(`truncate ${table}`);
  const { rowCount } = await pair.sink.query("delete from holdfast.snapshot where slot_name = $1 and table_name = $2", [
    pair.slotName,
    table,
  ]);
  expect(rowCount).toBe(1);
}

async function refused(environment: Readonly<Record<string, string>>, ...said: string[]): Promise<void> {
  const daemon = pair.launch(environment);
  expect(await daemon.ended).toBe(78);
  for (const part of said) expect(daemon.lines.join("\n")).toContain(part);
}

const SWAP = `
  begin;
  create table item_new (like item including all);
  insert into item_new select * from item;
  alter table item rename to item_old;
  alter table item_new rename to item;
  commit;
`;

test.each([
  ["replaced by another of its name", SWAP, "the source's table of this name is another one"],
  ["renamed", "alter table item rename to item_old", "the source has no table of this name any more"],
  [
    "taken out of the publication",
    "alter publication copy set table added",
    "publication copy has not held it all the time",
  ],
])(
  "a table that is %s while the daemon runs ends it, although nothing is sent of it any more",
  async (_, sql, said) => {
    const daemon = await pair.start(BOTH);

    await pair.source.query(sql);

    expect(await daemon.ended).toBe(78);
    expect(daemon.lines.join("\n")).toContain(`item: ${said}`);
    await refused(BOTH, "item");
  },
);

test.each<[string, string, string, Readonly<Record<string, string>>, string]>([
  ["was replaced", "source", SWAP, {}, "the source's table of this name is another one"],
  [
    "was dropped and made again",
    "source",
    "drop table item; create table item (id int primary key)",
    {},
    "the source's table of this name is another one",
  ],
  [
    "was out of the publication",
    "source",
    "alter publication copy drop table item; insert into item values (2); alter publication copy add table item",
    {},
    "publication copy has not held it all the time",
  ],
  [
    "is in another publication",
    "source",
    "select",
    { SOURCE_PUBLICATION_NAME: "other" },
    "publication other has not held it all the time",
  ],
  ["was dropped in the sink", "sink", "drop table item", {}, "the sink's table is not the one that was written to"],
  [
    "was made again in the sink",
    "sink",
    "drop table item; create table public.item (id int primary key)",
    {},
    "the sink's table is not the one that was written to",
  ],
  [
    "goes to another schema of the sink",
    "sink",
    "select",
    { SINK_SCHEMA: "elsewhere" },
    "the sink's table is not the one that was written to",
  ],
])("a table that %s while no daemon ran is refused", async (_, side, sql, environment, said) => {
  const item = { DO_SNAPSHOT: "true", ...environment };
  await ended(await pair.start({ DO_SNAPSHOT: "true" }));

  await (side === "source" ? pair.source : pair.sink).query(sql);

  // Not only the first time: what a refused start has done must not make the next one content.
  for (let start = 0; start < 2; start++) await refused(item, `item: ${said}`, "delete from holdfast.snapshot");
});

test("a table that was replaced can be copied anew, and what the log has of the old one does not touch it", async () => {
  await ended(await pair.start(BOTH));
  await pair.source.query("delete from item; insert into item values (7), (8)");
  await pair.source.query(SWAP);
  await pair.source.query(
    "insert into item values (1), (2); delete from item where id = 7; insert into added values (2)",
  );
  await refused(BOTH, "item: the source's table of this name is another one");

  await copyAnew("item");

  const daemon = await pair.start(BOTH);
  await pair.equal("item", "added");
  await pair.source.query("insert into item values (3); delete from item where id = 2");
  await pair.equal("item", "added");
  await ended(daemon);
  await pair.start(BOTH);
  await pair.equal("item", "added");
});

test("a table that was not in TABLES for a while is refused until it is copied anew", async () => {
  await ended(await pair.start(BOTH));
  const daemon = await pair.start({ DO_SNAPSHOT: "true" });
  await pair.source.query("insert into added values (2); delete from added where id = 1; insert into item values (2)");
  await pair.equal("item");
  await ended(daemon);
  for (const copy of ["true", "false"]) {
    await refused({ ...BOTH, DO_SNAPSHOT: copy }, "added: it was not in TABLES for a while");
  }

  await copyAnew("added");

  await pair.start(BOTH);
  await pair.equal("item", "added");
});

test("a table that is added without DO_SNAPSHOT is followed from then on, and known from then on", async () => {
  await ended(await pair.start());
  const settings = { TABLES: "item,added" };
  const daemon = await pair.start(settings);
  await pair.source.query("insert into added values (2)");
  await eventually("the row is there", async () => expect(await pair.rows("sink", "added")).toEqual(["(2)"]));
  await ended(daemon);
  await ended(await pair.start(settings));
  await pair.source.query("drop table added; create table added (id int primary key)");
  await refused(settings, "added: the source's table of this name is another one");
});

test("a table of a job without copies can be copied anew, and the message says how to leave the others as they are", async () => {
  const settings = { TABLES: "item,added" };
  await ended(await pair.start(settings));
  const daemon = await pair.start(settings);
  await pair.source.query("insert into item values (2); insert into added values (2)");
  await eventually("the rows", async () => {
    expect([await pair.rows("sink", "item"), await pair.rows("sink", "added")]).toEqual([["(2)"], ["(2)"]]);
  });
  await ended(daemon);
  await pair.source.query(SWAP);
  await refused(settings, "item: the source's table of this name is another one");
  await copyAnew("item");

  const next = pair.launch(BOTH);
  expect(await next.ended).toBe(78);
  const failure = JSON.parse(next.lines.find((line) => line.includes('"cannot go on"')) ?? "{}").reason;
  expect(failure).toContain('the sink\'s table "public"."added" holds rows that this job has only followed');
  expect(failure).not.toContain("DO_SNAPSHOT=false");
  await pair.sink.query(/update holdfast.*/.exec(failure)?.[0] ?? "");

  await ended(await pair.start(BOTH));
  await pair.start(settings);
  await pair.equal("item");
  expect(await pair.rows("sink", "added")).toEqual(["(2)"]);
});

test("a table that has another name for a while loses nothing of that time", async () => {
  await ended(await pair.start(BOTH));
  await pair.source.query("alter table item rename to away; insert into away values (2)");
  await pair.source.query("alter table away rename to item; insert into item values (3)");

  await pair.start(BOTH);

  await pair.equal("item");
});

test("partitions that come and go do not make another table of theirs", async () => {
  await pair.source.query(`
    create table event (id int primary key) partition by range (id);
    create table event_1 partition of event for values from (0) to (10);
    create table event_2 partition of event for values from (10) to (20);
    insert into event values (1), (11);
  `);
  const settings = { TABLES: "event", DO_SNAPSHOT: "true" };
  await ended(await pair.start(settings));
  await pair.source.query("delete from event where id = 1; drop table event_1");
  await pair.source.query("create table event_3 partition of event for values from (20) to (30)");
  await pair.source.query("insert into event values (21)");

  await ended(await pair.start(settings));
  await pair.start(settings);

  await pair.equal("event");
});

test("a sink's table that was restored is taken as it is where its row says so", async () => {
  await ended(await pair.start(BOTH));
  await pair.sink.query("alter table item rename to lost; create table public.item (like lost including all)");
  await pair.sink.query("insert into public.item select * from lost; drop table lost");
  await refused(BOTH, "item: the sink's table is not the one that was written to");

  await pair.sink.query(
    "update holdfast.snapshot set source_oid = null, published_by = null, sink_oid = null where table_name = 'item'",
  );

  await pair.start(BOTH);
  await pair.source.query("insert into item values (2)");
  await pair.equal("item");
});

test("the state of an earlier daemon takes the tables as they are, once", async () => {
  await ended(await pair.start(BOTH));
  await pair.sink.query(`
    alter table holdfast.snapshot
      drop column wanted, drop column away,
      drop column source_oid, drop column published_by, drop column sink_oid
  `);
  // An earlier daemon had no row of a table that it did not copy.
  await pair.sink.query("delete from holdfast.snapshot where table_name = 'added'");
  const settings = { TABLES: "item,added" };

  await ended(await pair.start(settings));

  await pair.source.query("drop table added; create table added (id int primary key)");
  await pair.source.query(SWAP);
  const said = "the source's table of this name is another one";
  await refused(settings, `item: ${said}`, `added: ${said}`);
});
