import { eventually } from "./eventually";
import { usePair } from "./pair";

const pair = usePair();

/** Longer than a page, and random, so that PostgreSQL stores it out of line. */
const large = (seed: string) => `(select string_agg(md5(i::text || '${seed}'), '') from generate_series(1, 400) i)`;

test("values of every kind arrive as they are", async () => {
  // GIVEN values that JavaScript cannot hold
  await pair.source.query(`
    create type mood as enum ('calm', 'wild');
    create table item (
      id bigint primary key, amount numeric, at timestamptz, day date, span interval, f float8, raw bytea,
      doc jsonb, js json, list int[], words text[], flag boolean, b bit(3), u uuid, c char(5), v varchar(3), r int4range, ip inet
    );
    insert into item values
      (9007199254740993, 12345678901234567890.123456789012345, '2024-02-29 23:59:59.123456+05:45', 'infinity',
       '1 year 2 mons 3 days 04:05:06.789', 0.1::float8 + 0.2::float8, '\\x00ff5c27', '{"a": [1, "\\u00e9"], "n": 1e400}', '{"b":1,  "a":2}',
       '{{1,2},{3,4}}', array['a,b', 'c"d', null, ''], true, '101', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'ab', 'xyz', '[1,5)', '10.0.0.0/8'),
      (2, 'NaN', '0044-03-15 12:00:00+00 BC', '-infinity', '-00:00:01', '-Infinity', '', 'null', 'null', '{}', '{}', false, '000', null, '', '', 'empty', '::1'),
      (3, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
  `);
  // WHEN they are copied and then changed
  await pair.start({ DO_SNAPSHOT: "true" });
  await pair.equal("item");
  await pair.source.query(`
    insert into item select id + 10, amount, at, day, span, f, raw, doc, js, list, words, flag, b, u, c, v, r, ip from item;
    update item set f = f * 3, words = words || array['é\\n"'''], span = span * 2 where id > 3;
  `);
  // THEN both sides print the same
  await pair.equal("item");
  expect(await pair.rows("sink", "item")).toHaveLength(6);
});

test("a text that begins with a byte order mark keeps it, also where it is a key", async () => {
  await pair.source.query(`
    create table item (name text primary key, note text);
    insert into item values (E'\\uFEFF', E'\\uFEFF\\uFEFFcopied'), ('', 'another');
  `);
  await pair.start({ DO_SNAPSHOT: "true" });
  await pair.source.query("insert into item values (E'\\uFEFFnew', E'\\uFEFFstreamed'), ('new', 'plain')");
  await pair.source.query("delete from item where name = E'\\uFEFF'");
  await pair.equal("item");
});

test("a large value that an update leaves alone stays", async () => {
  await pair.source.query(`
    create table item (id int primary key, note text, large text);
    insert into item select i, 'first', ${large("a")} from generate_series(1, 20) i;
  `);
  await pair.start({ DO_SNAPSHOT: "true" });
  // Alone, twice in a transaction, with a change of it between, and after an insertion in the same batch.
  await pair.source.query("update item set note = 'second' where id <= 5");
  await pair.source.query(`
    begin;
    update item set note = 'third' where id between 6 and 10;
    update item set large = ${large("b")} where id between 8 and 12;
    update item set note = 'fourth' where id between 6 and 14;
    insert into item values (30, 'new', ${large("c")});
    update item set note = 'newer' where id = 30;
    commit;
  `);
  await pair.equal("item");
  expect((await pair.sink.query("select min(length(large)) as n from item")).rows).toEqual([{ n: 12_800 }]);
});

test("a row keeps its large value when its primary key changes", async () => {
  await pair.source.query(`
    create table item (id int, part text, note text, large text, primary key (part, id));
    insert into item select i, 'p', 'first', ${large("a")} || i from generate_series(1, 20) i;
  `);
  await pair.start({ DO_SNAPSHOT: "true" });
  await pair.source.query("update item set id = id + 100 where id <= 5");
  await pair.source.query(
    "begin; update item set note = 'x' where id = 6; update item set id = 206 where id = 6; commit",
  );
  // A chain, a swap, and a key that is used again.
  await pair.source.query(`
    begin;
    update item set id = 0 where id = 7; update item set id = 7 where id = 8; update item set id = 8 where id = 0;
    delete from item where id = 9; update item set id = 9 where id = 10; insert into item values (10, 'p', 'new', 'short');
    commit;
  `);
  await pair.equal("item");
});

test("deletions, truncation and rows that come again", async () => {
  await pair.source.query(`
    create table item (id int primary key, n int);
    create table other (id int primary key);
    insert into item select i, i from generate_series(1, 100) i;
    insert into other select generate_series(1, 10);
  `);
  await pair.start({ DO_SNAPSHOT: "true", TABLES: "item, other" });
  await pair.source.query(
    "delete from item where id % 2 = 0; delete from other where id = 1; insert into other values (1)",
  );
  await pair.equal("item", "other");
  await pair.source.query(
    "begin; insert into item values (500, 1); truncate item, other; insert into item values (1, 2); commit",
  );
  await pair.equal("item", "other");
  expect(await pair.rows("sink", "item")).toEqual(["(1,2)"]);
});

test("a table whose whole row is its replica identity, and one that is partitioned", async () => {
  await pair.source.query(`
    create table item (id int primary key, note text, large text);
    alter table item replica identity full;
    insert into item select i, 'first', ${large("a")} from generate_series(1, 5) i;
    create table event (id int, day int, note text, primary key (id, day)) partition by range (day);
    create table event_1 partition of event for values from (0) to (10);
    create table event_2 partition of event for values from (10) to (20);
    insert into event select i, i, 'e' from generate_series(1, 19) i;
  `);
  await pair.start({ DO_SNAPSHOT: "true", TABLES: "item,event" });
  await pair.source.query(
    "update item set note = 'b' where id < 3; update item set id = 9 where id = 4; delete from item where id = 5",
  );
  await pair.source.query("update event set day = day + 8 where id < 12; delete from event where id = 15");
  await pair.equal("item", "event");
});

test("a transaction larger than a batch is seen in the sink whole or not at all", async () => {
  await pair.source.query("create table item (id int primary key, n int)");
  const daemon = await pair.start({ FLUSH_SIZE: "100" });
  const seen = new Set<number>();
  await pair.source.query(
    "begin; insert into item select i, 0 from generate_series(1, 4000) i; update item set n = 1; commit",
  );
  for (let count = 0; count < 4_000; ) {
    const { rows } = await pair.sink.query<{ n: number; changed: number }>(
      "select count(*)::int as n, count(*) filter (where n = 1)::int as changed from item",
    );
    count = rows[0]?.n ?? 0;
    seen.add(count);
    expect(rows[0]?.changed).toBe(count);
  }
  expect([...seen].filter((count) => count !== 0)).toEqual([4_000]);
  await pair.equal("item");
  expect((await daemon.get("/cdc/metrics")).status).toBe(200);
});

test("a column that the sink lacks ends the daemon before it, and nothing is lost", async () => {
  await pair.source.query("create table item (id int primary key); insert into item values (1)");
  const daemon = await pair.start({ DO_SNAPSHOT: "true" });
  await pair.source.query("alter table item add column note text; insert into item values (2, 'kept')");
  expect(await daemon.ended).toBe(78);
  expect(daemon.lines.join("\n")).toContain('ALTER TABLE \\"public\\".\\"item\\" ADD COLUMN \\"note\\" text');
  await pair.sink.query("alter table item add column note text");
  await pair.start({ DO_SNAPSHOT: "true" });
  await pair.equal("item");
  // The other way round it needs nobody: the column goes, and rows keep coming.
  await pair.source.query("alter table item drop column note; insert into item values (3)");
  await eventually("row 3", async () => {
    expect((await pair.sink.query("select from item where id = 3")).rowCount).toBe(1);
  });
});

test("a table of wide rows is copied and followed in little memory, whatever the number of rows in a chunk", async () => {
  const BOUND = { NODE_OPTIONS: "--max-old-space-size=150" };
  await pair.source.query(
    "create table item (id int primary key, n int, wide text); insert into item select i, 0, repeat('x', 1000000) from generate_series(1, 250) i",
  );
  const daemon = await pair.start({ DO_SNAPSHOT: "true", ...BOUND });
  await pair.source.query("update item set n = 1, wide = repeat('y', 1000000)");
  await eventually(`the sink has the change\n${daemon.lines.join("\n")}`, async () =>
    expect((await pair.sink.query("select from item where n = 1")).rowCount).toBe(250),
  );
  expect((await pair.sink.query("select from item where wide = repeat('y', 1000000)")).rowCount).toBe(250);
});
