import { type RunningDaemon, usePair } from "./pair";

const pair = usePair();
const COPY = { DO_SNAPSHOT: "true" };

test("types that change end the daemon before the first row that has them, and nothing is cut off", async () => {
  await pair.source.query(`
    create table item (id int primary key, v varchar(3), n numeric(10,2), ts timestamp(0));
    insert into item values (1, 'abc', 1.25, '2024-01-01 00:00:00');
  `);
  const daemon = await pair.start(COPY);
  const change = "alter table item alter v type varchar(20), alter n type numeric(10,4), alter ts type timestamp(6)";
  await pair.source.query(
    `${change}; insert into item values (2, 'abcdef', 1.2345, '2024-01-01 00:00:00.987654'); update item set v = 'abcd' where id = 1`,
  );
  expect(await daemon.ended).toBe(78);
  expect(daemon.lines.join("\n")).toContain(
    "column v is character varying(20) in the source and character varying(3) in the sink",
  );
  expect(await pair.rows("sink", "item")).toHaveLength(1);
  await pair.sink.query(change);
  await pair.start(COPY);
  await pair.equal("item");
});

test("rows that were logged before their table changed go into the changed one", async () => {
  await pair.source.query(
    "create table item (id int primary key, v varchar(3), n int); insert into item values (1, 'abc', 1)",
  );
  const daemon = await pair.start(COPY);
  daemon.process.kill("SIGTERM");
  await daemon.ended;
  const change = "alter table item alter v type varchar(20), alter n type bigint";
  await pair.source.query("insert into item values (2, 'def', 2); update item set n = 3 where id = 1");
  await pair.source.query(`${change}; insert into item values (3, 'defghi', 3000000000)`);
  await pair.sink.query(change);
  await pair.start(COPY);
  await pair.equal("item");
});

test.each(["default", "full"])(
  "a primary key that changes under replica identity %s ends the daemon before the first change that has it",
  async (identity) => {
    await pair.source.query(`
      create table item (id int primary key, code text not null unique, v text);
      alter table item replica identity ${identity};
      insert into item values (1, 'a', 'x'), (2, 'b', 'x'), (3, 'c', 'x');
    `);
    // GIVEN changes under the old key that no batch has written yet
    const daemon = await pair.start({ ...COPY, FLUSH_INTERVAL_MS: "600000" });
    await pair.source.query("delete from item where id = 3; insert into item values (4, 'd', 'x')");
    const change = "alter table item drop constraint item_pkey, add primary key (code)";
    await pair.source.query(`${change}; delete from item where id = 1; update item set id = 20 where id = 2`);
    expect(await daemon.ended).toBe(78);
    expect(daemon.lines.join("\n")).toContain("the primary key is (code) in the source and (id) in the sink");
    await pair.sink.query(change);
    await pair.start(COPY);
    await pair.equal("item");
  },
);

test("a replica identity without the primary key ends the daemon; rows that were only added under it are not lost", async () => {
  await pair.source.query(`
    create table item (id int primary key, code text not null);
    create unique index codes on item (code);
    insert into item values (1, 'a'), (2, 'b');
  `);
  const daemon = await pair.start(COPY);
  await pair.source.query("alter table item replica identity using index codes; insert into item values (3, 'c')");
  expect(await daemon.ended).toBe(78);
  expect(daemon.lines.join("\n")).toContain("item does not log its primary key");
  await pair.source.query("alter table item replica identity default; delete from item where id = 1");
  await pair.start(COPY);
  await pair.equal("item");
});

test.each([
  ["a deletion", "delete from item where id = 1"],
  ["a change of the primary key", "update item set id = 10 where id = 1"],
])("%s that was logged without the primary key is an error that says so", async (_, change) => {
  await pair.source.query(`
    create table item (id int primary key, code text not null);
    create unique index codes on item (code);
    insert into item values (1, 'a'), (2, 'b');
  `);
  const daemon = await pair.start(COPY);
  daemon.process.kill("SIGTERM");
  await daemon.ended;
  await pair.source.query(`alter table item replica identity using index codes; ${change}`);
  await pair.source.query("alter table item replica identity default");
  const next = pair.launch(COPY);
  expect(await next.ended).toBe(78);
  expect(next.lines.join("\n")).toContain("the log has changes of item without its primary key");
  expect(await pair.rows("sink", "item")).toEqual(["(1,a)", "(2,b)"]);
});

test("a partition that does not log the primary key is refused", async () => {
  await pair.source.query(`
    create table item (id int, code text not null, primary key (id)) partition by range (id);
    create table item_1 partition of item for values from (0) to (10);
    create unique index codes on item_1 (code);
    alter table item_1 replica identity using index codes;
  `);
  const daemon = pair.launch(COPY);
  expect(await daemon.ended).toBe(78);
  expect(daemon.lines.join("\n")).toContain("item does not log its primary key");
});

test("options of the URLs are kept, and change nothing about how values are written", async () => {
  const withOptions = (name: "SOURCE_URL" | "SINK_URL", options: string) => {
    const url = new URL(pair.environment[name] ?? "");
    url.search = new URLSearchParams({ options, application_name: "mine" }).toString();
    return url.href;
  };
  // GIVEN a source that writes days before months by itself and by its options, and a sink that shows what it took from its own
  await pair.source.query(
    "do $$ begin execute format('alter database %I set datestyle = ''SQL, DMY''', current_database()); end $$",
  );
  await pair.source.query("create table item (id int primary key, d date); insert into item values (1, '2024-02-01')");
  await pair.sink.query(`
    create table item (id int primary key, d date);
    create table seen (path text, name text);
    create function see() returns trigger language plpgsql as $$ begin
      insert into public.seen values (current_setting('search_path'), current_setting('application_name')); return new;
    end $$;
    create trigger see before insert on item for each row execute function see();
  `);
  await pair.start({
    ...COPY,
    SOURCE_URL: withOptions("SOURCE_URL", "-c search_path=public -c datestyle=SQL,DMY"),
    SINK_URL: withOptions("SINK_URL", "-c search_path=elsewhere"),
  });
  expect(await pair.rows("sink", "item")).toEqual(["(1,2024-02-01)"]);
  await pair.source.query("insert into item values (2, '2024-03-04')");
  await pair.equal("item");
  expect((await pair.sink.query("select distinct path, name from seen")).rows).toEqual([
    { path: "elsewhere", name: "holdfast-daemon" },
  ]);
});

/** What the daemon said last, line by line. */
async function reasonOf(daemon: RunningDaemon): Promise<string[]> {
  expect(await daemon.ended).toBe(78);
  const failure = daemon.lines.find((line) => line.includes('"cannot go on"'));
  return JSON.parse(failure ?? "{}").reason.split("\n");
}

function statementIn(line: string | undefined): string {
  return line?.slice(line.indexOf("ALTER TABLE")) ?? "";
}

test("the statements for columns that were added with a default give old rows what they have in the source", async () => {
  await pair.source.query(`
    create table item (id int primary key);
    create table event (id int primary key) partition by range (id);
    create table event_1 partition of event for values from (0) to (10);
    create table event_2 partition of event for values from (10) to (20);
    insert into item values (1), (2);
    insert into event values (1), (11);
  `);
  const tables = { ...COPY, TABLES: "item,event" };
  const daemon = await pair.start(tables);
  await pair.source.query(`
    alter table item
      add column status text not null default 'it''s \\ "new"',
      add column area box default '(1,1),(0,0)',
      add column list int[] default '{1,2}',
      add column empty varchar(5) default '',
      add column at timestamptz default '2024-03-04 05:06:07+08',
      add column raw bytea default '\\x00ff',
      add column nothing text;
    alter table item alter status drop default;
    alter table event add column status text not null default 'new';
    insert into item (id, status) values (3, 'old');
    update item set list = null where id = 2;
  `);
  const [, ...lines] = await reasonOf(daemon);
  expect(lines).toHaveLength(8);
  for (const line of lines) await pair.sink.query(statementIn(line));
  await pair.start(tables);
  await pair.equal("item", "event");
});

test.each([
  ["is computed for each row", ["alter table item add column token uuid default gen_random_uuid()"]],
  ["numbers the rows", ["alter table item add column n int generated by default as identity"]],
  ["was filled, and then written anew", ["alter table item add column n int not null default 7", "vacuum full item"]],
])("a column that %s comes with the advice to copy the table again", async (_, changes) => {
  await pair.source.query("create table item (id int primary key); insert into item values (1), (2)");
  const daemon = await pair.start(COPY);
  for (const change of changes) await pair.source.query(change);
  await pair.source.query("insert into item values (3)");
  const [, lacking, advice] = await reasonOf(daemon);
  expect(advice).toContain("copy the table again (POST /cdc/snapshot/start)");
  await pair.sink.query(statementIn(lacking));
  const next = await pair.start(COPY);
  await next.post("/cdc/snapshot/start");
  await pair.equal("item");
});

test("a column that may have been renamed comes with the statement that renames the sink's", async () => {
  await pair.source.query(
    "create table item (id int primary key, note text, n int); insert into item values (1, 'kept', 1)",
  );
  const daemon = await pair.start(COPY);
  await pair.source.query("alter table item rename note to remark; insert into item values (2, 'new', 2)");
  const [, lacking, advice, ...more] = await reasonOf(daemon);
  expect(lacking).toContain("the sink lacks column remark");
  expect(advice).toContain("if it was note before");
  expect(more).toEqual([]);
  await pair.sink.query(statementIn(advice));
  await pair.start(COPY);
  await pair.equal("item");
});

test("a large value stays when a row's key changes in a partition that logs less than its table", async () => {
  await pair.source.query(`
    create table item (id int primary key, note text, large text) partition by range (id);
    create table item_1 partition of item for values from (0) to (10);
    alter table item replica identity full;
    insert into item select i, 'n', (select string_agg(md5(i::text || j), '') from generate_series(1, 400) j) from generate_series(1, 3) i;
  `);
  await pair.start(COPY);
  await pair.source.query("update item set id = 8 where id = 1; update item set id = 9, note = null where id = 2");
  await pair.equal("item");
});
