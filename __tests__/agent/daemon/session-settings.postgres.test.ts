import { eventually } from "./eventually";
import { usePair } from "./pair";

const pair = usePair();
const COPY = { DO_SNAPSHOT: "true" };

/** What every session of the sink begins with, as a role's or a database's settings do. */
async function sinkBeginsWith(...settings: string[]): Promise<void> {
  for (const setting of settings) {
    await pair.sink.query(`alter database ${pair.environment["SINK_DATABASE"]} set ${setting}`);
  }
}

test("nulls in arrays and pieces of XML arrive where the sink's sessions read neither", async () => {
  await pair.source.query(`
    create table item (id int primary key, words text[], doc xml);
    insert into item values (1, array['a', null, 'NULL'], 'text <b/>');
  `);
  await sinkBeginsWith("array_nulls = off", "xmloption = document");
  await pair.start(COPY);
  await pair.source.query("insert into item select 2, words, doc from item");
  await pair.equal("item");
  expect((await pair.sink.query("select words[2] is null as is_null from item")).rows).toEqual([
    { is_null: true },
    { is_null: true },
  ]);
});

/** A sink's table that shows what its writer has of a setting. */
async function recordSetting(name: string): Promise<void> {
  await pair.sink.query(`
    create table item (id int primary key);
    create table seen (value text);
    create function see() returns trigger language plpgsql as $$ begin
      insert into public.seen values (current_setting('${name}')); return new;
    end $$;
    create trigger see before insert on item for each row execute function see();
  `);
}

test.each([
  ["off", "on"],
  ["local", "local"],
  ["remote_apply", "remote_apply"],
])(
  "a sink's session that begins with synchronous_commit = %s commits with %s: the source forgets what is committed",
  async (given, used) => {
    await pair.source.query("create table item (id int primary key); insert into item values (1)");
    await recordSetting("synchronous_commit");
    await sinkBeginsWith(`synchronous_commit = ${given}`);
    await pair.start(COPY);
    await pair.source.query("insert into item values (2)");
    await pair.equal("item");
    expect((await pair.sink.query("select value from seen")).rows.at(-1)).toEqual({ value: used });
  },
);

test("money is written and read in one form, whatever its form is in each database", async () => {
  await pair.source.query("create table item (id int primary key); insert into item values (1)");
  await recordSetting("lc_monetary");
  await sinkBeginsWith("lc_monetary = 'POSIX'");
  await pair.start(COPY);
  expect((await pair.sink.query("select value from seen")).rows).toEqual([{ value: "C" }]);
});

test("a daemon whose slot was claimed gives way also where the sink's transactions are isolated from each other", async () => {
  await pair.source.query("create table item (id int primary key)");
  await sinkBeginsWith("default_transaction_isolation = 'repeatable read'");
  const first = await pair.start(COPY);
  await pair.sink.query("begin; lock table item in share mode");
  await pair.source.query("insert into item values (1)");
  await eventually("the first writes", async () => {
    const { rowCount } = await pair.source.query("select from pg_stat_activity where wait_event_type = 'Lock'");
    expect(rowCount).toBe(1);
  });
  pair.launch(COPY);
  await eventually("the second has claimed", async () =>
    expect((await pair.sink.query("select from holdfast.fence_log")).rowCount).toBe(2),
  );

  await pair.sink.query("commit");

  await eventually(`the end of the first\n${first.lines.join("\n")}`, async () =>
    expect(first.process.exitCode).toBe(77),
  );
  await pair.equal("item");
});
