import { setTimeout as pause } from "node:timers/promises";
import { Client } from "pg";
import { eventually } from "./eventually";
import { type Pair, type RunningDaemon, usePair } from "./pair";

const pair = usePair();

/** Repeatable choices; the seed is in the test's name. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Writer {
  /** Transactions that are committed. */
  readonly committed: number;
  stop(): Promise<void>;
}

/** Changes rows of `item` in transactions of random size, some of which are rolled back, until it is stopped. */
async function startWriter({ environment }: Pair, seed: number): Promise<Writer> {
  const client = new Client({ connectionString: environment["SOURCE_URL"] });
  await client.connect();
  const random = randomFrom(seed);
  const id = () => 1 + random(400);
  const large = () => `(select string_agg(md5(i::text || '${random(1e9)}'), '') from generate_series(1, 120) i)`;
  const statements = [
    () => `insert into item values (${id()}, 'new', ${large()}) on conflict (id) do update set note = 'again'`,
    () => `update item set note = 'n${random(1e9)}' where id = ${id()}`,
    () => `update item set note = 'm${random(1e9)}' where id between ${id()} and ${id()}`,
    () => `update item set large = ${large()} where id = ${id()}`,
    () => `delete from item where id = ${id()}`,
    () =>
      `update item set id = k from (select ${id()} as k) x where id = ${id()} and not exists (select from item where id = k)`,
    () => `insert into entry (note) select 'e' || i from generate_series(1, ${1 + random(30)}) i`,
  ];
  let running = true;
  let committed = 0;
  const work = (async () => {
    while (running) {
      const batch = Array.from({ length: 1 + random(6) }, () => statements[random(statements.length)]?.());
      const end = random(8) === 0 ? "rollback" : "commit";
      await client.query(`begin; ${batch.join("; ")}; ${end}`);
      committed += 1;
    }
  })();
  return {
    get committed() {
      return committed;
    },
    stop: async () => {
      running = false;
      await work;
      await client.end();
    },
  };
}

async function createTables(rows: number): Promise<void> {
  await pair.source.query(`
    create table item (id int primary key, note text, large text);
    create table entry (id bigint generated always as identity primary key, note text);
    insert into item select i, 'first', (select string_agg(md5((i * j)::text), '') from generate_series(1, 120) j)
      from generate_series(1, ${rows}) i;
    insert into entry (note) select 'old' from generate_series(1, ${rows}) i;
  `);
}

async function killAtRandom(daemon: RunningDaemon, delayMs: number): Promise<void> {
  await Promise.race([pause(delayMs), daemon.ended]);
  daemon.process.kill("SIGKILL");
  expect(await daemon.ended).toBe("SIGKILL");
}

async function drained(daemon: RunningDaemon): Promise<void> {
  await daemon.post("/cdc/drain");
  expect(await daemon.ended).toBe(0);
}

/** Counts what the sink executed, where a duplicate leaves no trace in a table with a primary key. */
async function recordInsertions(): Promise<void> {
  await pair.sink.query(`
    create table entry (id bigint primary key, note text);
    create table inserted (id bigint);
    create function record() returns trigger language plpgsql as
      $$ begin insert into public.inserted values (new.id); return new; end $$;
    create trigger record before insert on entry for each row execute function record();
  `);
}

test("snapshot and stream beside a writer: the sink is the source, row by row (seed 11)", async () => {
  await createTables(300);
  const writer = await startWriter(pair, 11);
  const settings = { TABLES: "item,entry", DO_SNAPSHOT: "true", SNAPSHOT_CHUNK_SIZE: "40" };
  const daemon = await pair.start(settings);
  const before = writer.committed;
  await eventually("the writer goes on", async () => expect(writer.committed).toBeGreaterThan(before + 100));
  await writer.stop();
  await drained(daemon);
  expect(await pair.rows("sink", "item")).toEqual(await pair.rows("source", "item"));
  expect(await pair.rows("sink", "entry")).toEqual(await pair.rows("source", "entry"));
});

test("killed 8 times while it streams: nothing is lost, nothing is written twice (seed 23)", async () => {
  await createTables(50);
  await recordInsertions();
  const random = randomFrom(23);
  const settings = { TABLES: "item,entry", FLUSH_INTERVAL_MS: "5", FLUSH_SIZE: "40" };
  // GIVEN a first daemon that made the slot, so that every transaction from here on is streamed
  await drained(await pair.start(settings));
  await pair.sink.query("truncate item, entry, inserted");
  await pair.source.query("truncate item; truncate entry");
  const writer = await startWriter(pair, 23);
  // WHEN daemons die at random moments
  for (let kill = 0; kill < 8; kill++) {
    const daemon = await pair.start(settings);
    await killAtRandom(daemon, random(150));
  }
  await writer.stop();
  await drained(await pair.start(settings));
  // THEN both sides are equal, and every row of the append-only table was inserted once
  expect(await pair.rows("sink", "item")).toEqual(await pair.rows("source", "item"));
  expect(await pair.rows("sink", "entry")).toEqual(await pair.rows("source", "entry"));
  const { rows } = await pair.sink.query(
    "select count(*)::int as insertions, count(distinct id)::int as ids, (select count(*)::int from entry) as entries from inserted",
  );
  expect(rows).toEqual([{ insertions: rows[0].entries, ids: rows[0].entries, entries: rows[0].entries }]);
  expect(rows[0].entries).toBeGreaterThan(0);
});

test("killed 5 times in its snapshot: the copy goes on where it was, and ends equal (seed 37)", async () => {
  await createTables(400);
  const writer = await startWriter(pair, 37);
  const random = randomFrom(37);
  const settings = { TABLES: "item,entry", DO_SNAPSHOT: "true", SNAPSHOT_CHUNK_SIZE: "5", FLUSH_SIZE: "50" };
  const copied = [0];
  while (copied.length <= 5) {
    const daemon = pair.launch(settings);
    await eventually("another chunk is in the sink", async () => {
      const { rows } = await pair.sink.query("select sum(chunks)::int as chunks from holdfast.snapshot");
      expect(rows[0].chunks).toBeGreaterThan(copied.at(-1) ?? 0);
    });
    await killAtRandom(daemon, random(20));
    const { rows } = await pair.sink.query(
      "select sum(chunks)::int as chunks, bool_and(complete) as complete from holdfast.snapshot",
    );
    expect(rows[0].complete).toBe(false);
    copied.push(rows[0].chunks);
  }
  await writer.stop();
  await drained(await pair.start({ ...settings, SNAPSHOT_CHUNK_SIZE: "1000" }));
  expect(await pair.rows("sink", "item")).toEqual(await pair.rows("source", "item"));
  expect(await pair.rows("sink", "entry")).toEqual(await pair.rows("source", "entry"));
});

test("a commit that follows the stored position at once is not skipped after a restart", async () => {
  await pair.source.query("create table item (id int primary key)");
  // GIVEN a sink that fails on the second transaction of each pair
  await pair.sink.query(`
    create table item (id int primary key);
    create function refuse() returns trigger language plpgsql as
      $$ begin if (select count(*) from public.item) % 2 = 1 then raise 'refused'; end if; return new; end $$;
    create trigger refuse before insert on item for each row execute function refuse();
  `);
  await drained(await pair.start());
  const second = new Client({ connectionString: pair.environment["SOURCE_URL"] });
  await second.connect();
  for (let id = 0; id < 6; id += 2) {
    // WHEN two commit records touch, and a daemon stores the end of the first
    await second.query(`begin; insert into item values (${id})`);
    await pair.source.query(`begin; insert into item values (${id + 1})`);
    await Promise.all([pair.source.query("commit"), second.query("commit")]);
    expect(await pair.launch({ FLUSH_SIZE: "1" }).ended).toBe(78);
    expect(await pair.rows("sink", "item")).toHaveLength(id + 1);
    // THEN the next daemon begins with the second
    await pair.sink.query("alter table item disable trigger refuse");
    const daemon = await pair.start();
    await pair.equal("item");
    await drained(daemon);
    await pair.sink.query("alter table item enable trigger refuse");
  }
  await second.end();
});

test("a connection that breaks is made again, and the position holds", async () => {
  await pair.source.query("create table item (id int primary key)");
  const daemon = await pair.start();
  for (let round = 0; round < 3; round++) {
    await pair.source.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holdfast-daemon'",
    );
    await pair.source.query("insert into item values ($1)", [round]);
    await pair.equal("item");
  }
  await daemon.reaches("cdc");
  expect(daemon.process.exitCode).toBeNull();
});

test("a sink that is read-only for a while, as a demoted server is until its name leads elsewhere, is waited for", async () => {
  await pair.source.query("create table item (id int primary key)");
  const daemon = await pair.start();
  const database = pair.environment["SINK_DATABASE"];
  await pair.sink.query(`alter database ${database} set default_transaction_read_only = on`);
  await pair.source.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holdfast-daemon'",
  );
  const refusal = await eventually("the daemon was refused", async () => {
    const line = daemon.lines.find((said) => said.includes("in a read-only transaction"));
    expect(line).toBeDefined();
    return line;
  });
  expect(refusal).toContain("connecting again");
  await pair.source.query("insert into item values (1)");
  await pair.sink.query(`alter database ${database} reset default_transaction_read_only`);
  await pair.equal("item");
});

test("a position that an earlier daemon has moved, which stores no last transaction, is read on from as it stands", async () => {
  await pair.source.query("create table entry (id bigint primary key, note text)");
  await recordInsertions();
  const settings = { TABLES: "entry" };
  const first = await pair.start(settings);
  await pair.source.query("insert into entry values (1, null)");
  await pair.equal("entry");
  await drained(first);
  // GIVEN rows that an earlier daemon has written, and of which the source has not heard
  await pair.source.query("insert into entry values (2, null)");
  const { rows } = await pair.source.query("select pg_current_wal_lsn() as lsn");
  await pair.sink.query("insert into entry values (2, null)");
  await pair.sink.query("update holdfast.replication set lsn = $1", [rows[0].lsn]);

  const next = await pair.start(settings);
  await pair.source.query("insert into entry values (3, null)");
  await pair.equal("entry");
  await drained(next);

  expect((await pair.sink.query("select id::int from inserted order by id")).rows).toEqual([
    { id: 1 },
    { id: 2 },
    { id: 3 },
  ]);
});
