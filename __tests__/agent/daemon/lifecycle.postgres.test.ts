import { eventually } from "./eventually";
import { type RunningDaemon, usePair } from "./pair";

const pair = usePair();

beforeEach(() =>
  pair.source.query("create table item (id int primary key, note text); insert into item values (1, 'first')"),
);

async function slot(): Promise<{ active: boolean; confirmed: string } | undefined> {
  const { rows } = await pair.source.query(
    "select active, confirmed_flush_lsn::text as confirmed from pg_replication_slots where slot_name = $1",
    [pair.slotName],
  );
  return rows[0];
}

async function fenceLog(): Promise<string[]> {
  const { rows } = await pair.sink.query<{ line: string }>(
    "select fence || ' ' || event as line from holdfast.fence_log order by id",
  );
  return rows.map(({ line }) => line);
}

async function daemonWaitsForLock(): Promise<void> {
  await eventually("the daemon waits for a lock", async () => {
    const { rowCount } = await pair.source.query("select from pg_stat_activity where wait_event_type = 'Lock'");
    expect(rowCount).toBe(1);
  });
}

async function state(daemon: RunningDaemon): Promise<unknown> {
  return (await daemon.get("/cdc/status")).json["state"];
}

/** The server lets a slot go when it has seen that the connection is closed. */
async function slotIsFree(): Promise<void> {
  await eventually("the slot is free", async () => expect(await slot()).toMatchObject({ active: false }));
}

test("SIGTERM ends at once with status 0, keeps the slot, and the next daemon misses nothing", async () => {
  const daemon = await pair.start({ DO_SNAPSHOT: "true" });
  daemon.process.kill("SIGTERM");
  expect(await daemon.ended).toBe(0);
  const kept = await slot();
  expect(kept).toBeDefined();
  await pair.source.query("insert into item values (2, 'while down'); delete from item where id = 1");
  await pair.start({ DO_SNAPSHOT: "true" });
  await pair.equal("item");
});

test("SIGTERM while the sink hangs in a transaction: it is rolled back, and the process ends", async () => {
  const daemon = await pair.start({ DO_SNAPSHOT: "true" });
  await pair.sink.query("begin; lock table item in access exclusive mode");
  await pair.source.query("insert into item values (2, 'waits')");
  await daemonWaitsForLock();
  daemon.process.kill("SIGTERM");
  expect(await daemon.ended).toBe(0);
  await pair.sink.query("rollback");
  await pair.start({ DO_SNAPSHOT: "true" });
  await pair.equal("item");
});

test("stop keeps the slot unless it is told not to", async () => {
  const daemon = await pair.start({ DO_SNAPSHOT: "true" });
  // Bodies that another daemon would take for permission to drop the slot.
  for (const body of ["{", '{"skip_slot_cleanup": "no"}', '{"skip_slot_clean_up": false}']) {
    expect(await daemon.post("/cdc/stop", body)).toMatchObject({ status: 400, json: { success: false } });
  }
  expect(await state(daemon)).toBe("running");
  expect((await daemon.post("/cdc/stop")).json).toEqual({ success: true, message: "Stopping; the slot stays" });
  expect(await daemon.ended).toBe(0);
  await slotIsFree();

  const last = await pair.start();
  expect((await last.post("/cdc/stop", '{"skip_slot_cleanup": false}')).json).toMatchObject({ success: true });
  expect(await last.ended).toBe(0);
  expect(await slot()).toBeUndefined();
  // The fence is remembered; a new job of this name starts anew, and does not copy over rows.
  const anew = pair.launch({ DO_SNAPSHOT: "true" });
  expect(await anew.ended).toBe(78);
  expect(anew.lines.join("\n")).toContain("holds rows that this job did not write");
});

test("drain writes all that the source had committed, then ends and keeps the slot", async () => {
  const daemon = await pair.start({ DO_SNAPSHOT: "true", FLUSH_INTERVAL_MS: "600000" });
  await pair.source.query("insert into item select i, 'x' from generate_series(2, 3000) i");
  expect((await daemon.post("/cdc/drain")).json).toMatchObject({ success: true });
  expect(await daemon.ended).toBe(0);
  expect(await pair.rows("sink", "item")).toHaveLength(3000);
  await slotIsFree();
});

test("pause writes the batch at hand and holds the connection; resume goes on", async () => {
  const daemon = await pair.start({ DO_SNAPSHOT: "true", FLUSH_INTERVAL_MS: "600000" });
  await pair.source.query("insert into item values (2, 'before')");
  await eventually("the change is read", async () =>
    expect((await daemon.get("/cdc/status")).json["pending_events"]).toBe(1),
  );
  expect((await daemon.post("/cdc/pause")).json).toMatchObject({ success: true });
  await pair.equal("item");
  expect((await daemon.post("/cdc/pause")).json).toEqual({
    success: false,
    message: "only a running daemon can pause; it is paused",
  });
  const before = (await daemon.get("/cdc/status")).json["confirmed_lsn"];
  await pair.source.query("insert into item values (3, 'meanwhile')");
  await eventually("the server has sent it", async () => {
    const { rows } = await pair.source.query(
      "select sent_lsn >= pg_current_wal_lsn() as sent from pg_stat_replication where application_name = 'holdfast-daemon'",
    );
    expect(rows[0].sent).toBe(true);
  });
  expect((await daemon.get("/cdc/status")).json).toMatchObject({ state: "paused", confirmed_lsn: before });
  expect(await pair.rows("sink", "item")).toHaveLength(2);
  expect((await slot())?.active).toBe(true);
  await daemon.post("/cdc/resume");
  await daemon.post("/cdc/drain");
  expect(await daemon.ended).toBe(0);
  expect(await pair.rows("sink", "item")).toHaveLength(3);
});

test("a snapshot pauses between chunks, and can be made again", async () => {
  await pair.source.query("insert into item select i, 'x' from generate_series(2, 400) i");
  // GIVEN a copy that cannot write its first chunk yet
  await pair.sink.query("create table item (id int primary key, note text)");
  await pair.sink.query("begin; lock table item in share mode");
  const daemon = pair.launch({ DO_SNAPSHOT: "true", SNAPSHOT_CHUNK_SIZE: "50" });
  await daemonWaitsForLock();
  // WHEN it is paused, THEN it ends that chunk, and no other before it is resumed
  await daemon.post("/cdc/snapshot/pause");
  await pair.sink.query("rollback");
  await eventually("the chunk is written", async () =>
    expect((await daemon.get("/cdc/status")).json).toMatchObject({
      snapshot_active: true,
      snapshot_paused: true,
      table_progress: [{ table_name: "item", chunks_done: 1, rows_synced: 50 }],
    }),
  );
  expect(await pair.rows("sink", "item")).toHaveLength(50);
  await daemon.post("/cdc/snapshot/resume");
  await daemon.reaches("cdc");
  await pair.equal("item");
  // WHEN the sink has lost its rows, and has one that nobody knows
  await pair.sink.query("delete from item where id < 300; insert into item values (-1, 'stray')");
  expect((await daemon.post("/cdc/snapshot/start")).json).toMatchObject({ success: true });
  await pair.source.query("update item set note = 'y' where id > 350; delete from item where id = 5");
  await pair.equal("item");
});

test("INITIAL_SNAPSHOT_ONLY ends after the copy", async () => {
  const daemon = pair.launch({ DO_SNAPSHOT: "true", INITIAL_SNAPSHOT_ONLY: "true" });
  expect(await daemon.ended).toBe(0);
  expect(await pair.rows("sink", "item")).toEqual(["(1,first)"]);
});

test.each([
  ["SIGTERM", (daemon: RunningDaemon) => daemon.process.kill("SIGTERM")],
  ["a stop", (daemon: RunningDaemon) => daemon.post("/cdc/stop")],
  ["a drain", (daemon: RunningDaemon) => daemon.post("/cdc/drain")],
])(
  "%s in the middle of INITIAL_SNAPSHOT_ONLY is no end of the copy: the status asks for another start, which goes on",
  async (_, end) => {
    await pair.source.query("insert into item select i, 'x' from generate_series(2, 400) i");
    await pair.sink.query("create table item (id int primary key, note text)");
    // GIVEN a copy that stands after its first chunk
    const copy = { DO_SNAPSHOT: "true", INITIAL_SNAPSHOT_ONLY: "true", SNAPSHOT_CHUNK_SIZE: "50" };
    await pair.sink.query("begin; lock table item in share mode");
    const daemon = pair.launch(copy);
    await daemonWaitsForLock();
    await daemon.post("/cdc/snapshot/pause");
    await pair.sink.query("rollback");
    await eventually("the chunk is written", async () => expect(await pair.rows("sink", "item")).toHaveLength(50));

    // WHEN
    await end(daemon);

    // THEN
    expect(await daemon.ended).toBe(75);
    const next = pair.launch(copy);
    expect(await next.ended).toBe(0);
    await pair.equal("item");
    // Nothing is left to do, which is an end as well.
    expect(await pair.launch(copy).ended).toBe(0);
  },
);

test("a stop that drops the slot ends INITIAL_SNAPSHOT_ONLY for good", async () => {
  await pair.sink.query("create table item (id int primary key, note text)");
  await pair.sink.query("begin; lock table item in share mode");
  const daemon = pair.launch({ DO_SNAPSHOT: "true", INITIAL_SNAPSHOT_ONLY: "true" });
  await daemonWaitsForLock();
  await daemon.post("/cdc/stop", '{"skip_slot_cleanup": false}');
  await pair.sink.query("rollback");
  expect(await daemon.ended).toBe(0);
  expect(await slot()).toBeUndefined();
});

test("a daemon with a lower fence is refused, and changes nothing", async () => {
  const newer = await pair.start({ DO_SNAPSHOT: "true", HOLDFAST_FENCE: "8" });
  const older = pair.launch({ DO_SNAPSHOT: "true", HOLDFAST_FENCE: "7" });
  expect(await older.ended).toBe(77);
  expect(older.lines.join("\n")).toContain("was claimed with fence 8, which is higher than HOLDFAST_FENCE 7");
  await pair.source.query("insert into item values (2, 'goes on')");
  await pair.equal("item");
  expect(newer.process.exitCode).toBeNull();
  expect(await fenceLog()).toEqual(["8 claimed", "7 refused"]);
});

test.each([
  ["a higher fence", "9"],
  ["the same fence", "8"],
])("a daemon whose slot was claimed with %s cannot commit any more", async (_, fence) => {
  const first = await pair.start({ DO_SNAPSHOT: "true", HOLDFAST_FENCE: "8" });
  // GIVEN a second daemon that has claimed the sink and waits for the slot, which the first still reads
  const second = pair.launch({ DO_SNAPSHOT: "true", HOLDFAST_FENCE: fence });
  await eventually("the second has claimed", async () => expect(await fenceLog()).toHaveLength(2));
  // WHEN the first wants to write
  await pair.source.query("insert into item values (2, 'once')");
  // THEN it ends, leaves a trace, and the second writes the row
  expect(await first.ended).toBe(77);
  await pair.equal("item");
  await second.reaches("cdc");
  expect(await fenceLog()).toContain("8 refused");
});

test("a daemon whose slot was claimed in the middle of its copy writes no more of it", async () => {
  await pair.source.query("insert into item select i, 'x' from generate_series(2, 400) i");
  await pair.sink.query("create table item (id int primary key, note text)");
  // GIVEN a first daemon that waits to write a chunk when a second one claims the slot, and waits for the same
  const copy = { DO_SNAPSHOT: "true", SNAPSHOT_CHUNK_SIZE: "50" };
  await pair.sink.query("begin; lock table item in share mode");
  const first = pair.launch({ ...copy, HOLDFAST_FENCE: "8" });
  await daemonWaitsForLock();
  const second = pair.launch({ ...copy, HOLDFAST_FENCE: "9" });
  await eventually("the second has claimed", async () => expect(await fenceLog()).toHaveLength(2));

  // WHEN both may write
  await pair.sink.query("rollback");

  // THEN every chunk is the second's
  expect(await first.ended).toBe(77);
  await second.reaches("cdc");
  await pair.equal("item");
  expect((await pair.sink.query("select chunks, row_count from holdfast.snapshot")).rows).toEqual([
    { chunks: "9", row_count: "400" },
  ]);
});

test("a hole between sink and slot is an error that says so, and what to do", async () => {
  const daemon = await pair.start({ DO_SNAPSHOT: "true" });
  daemon.process.kill("SIGTERM");
  await daemon.ended;
  await eventually("the slot is free", () => pair.source.query("select pg_drop_replication_slot($1)", [pair.slotName]));
  const without = pair.launch({ DO_SNAPSHOT: "true" });
  expect(await without.ended).toBe(78);
  expect(without.lines.join("\n")).toMatch(/slot slot_\d+ is gone from the source: what lies between is lost/);
  await pair.source.query("insert into item values (2, 'lost')");
  await pair.source.query("select pg_create_logical_replication_slot($1, 'pgoutput')", [pair.slotName]);
  const recreated = pair.launch({ DO_SNAPSHOT: "true" });
  expect(await recreated.ended).toBe(78);
  expect(recreated.lines.join("\n")).toMatch(/but slot slot_\d+ starts at [0-9A-F/]+: what lies between is lost/);
  expect(recreated.lines.join("\n")).toContain("delete its rows from holdfast.snapshot and then holdfast.replication");

  await pair.source.query("select pg_drop_replication_slot($1)", [pair.slotName]);
  await pair.sink.query("delete from holdfast.snapshot; delete from holdfast.replication; truncate item");
  await pair.start({ DO_SNAPSHOT: "true" });
  await pair.equal("item");
});

test("tables that do not fit are refused together, with what to do", async () => {
  await pair.source.query(
    "create table keyless (n int); create table wide (id int primary key, a text, b numeric(6,2))",
  );
  await pair.sink.query("create table wide (id bigint primary key, b numeric(6,3), must int not null)");
  const daemon = pair.launch({ TABLES: "keyless,wide,absent" });
  expect(await daemon.ended).toBe(78);
  const said = daemon.lines.join("\n");
  for (const fault of [
    "keyless has no primary key",
    "absent does not exist in the source",
    "wide: column id is integer in the source and bigint in the sink",
    "wide: the sink lacks column a: ALTER TABLE",
    "wide: column b is numeric(6,2) in the source and numeric(6,3) in the sink",
    "wide: column must of the sink is NOT NULL without a default",
  ]) {
    expect(said).toContain(fault);
  }
});

test("no password in the log, the arguments or the errors", async () => {
  const daemon = await pair.start({ DO_SNAPSHOT: "true" });
  daemon.process.kill("SIGTERM");
  await daemon.ended;
  const failing = pair.launch({
    SINK_URL: (pair.environment["SINK_URL"] ?? "").replace(/sink_\d+$/, "nowhere"),
    SINK_DATABASE: "nowhere",
  });
  expect(await failing.ended).toBe(78);
  expect(failing.lines.join("\n")).toContain('database \\"nowhere\\" does not exist');
  const { password } = new URL(pair.environment["SINK_URL"] ?? "");
  expect(password).not.toBe("");
  expect([...daemon.lines, ...failing.lines, ...daemon.process.spawnargs].join("\n")).not.toContain(password);
});

test("a sink's user who may make no schema needs none that is there", async () => {
  await pair.sink.query("drop role if exists writer");
  await pair.sink.query("create role writer login password 'pw'");
  await pair.sink.query("create schema holdfast authorization writer; grant usage, create on schema public to writer");
  const sink = new URL(pair.environment["SINK_URL"] ?? "");
  sink.username = "writer";
  sink.password = "pw";

  await pair.start({ SINK_URL: sink.href, DO_SNAPSHOT: "true" });

  await pair.source.query("insert into item values (2, 'second')");
  await pair.equal("item");
});

test("a stop that drops the slot leaves none, also while the slot waits for a transaction of the source to be made", async () => {
  await pair.source.query("begin; insert into item values (2, 'open')");
  const daemon = pair.launch();
  await eventually("the slot waits", async () => {
    const { rowCount } = await pair.sink.query(
      "select from pg_stat_activity where query like 'CREATE_REPLICATION_SLOT%' and wait_event_type = 'Lock'",
    );
    expect(rowCount).toBe(1);
  });

  await daemon.post("/cdc/stop", '{"skip_slot_cleanup": false}');

  expect([await daemon.ended, daemon.lines.at(-1)]).toEqual([0, expect.anything()]);
  await pair.source.query("commit");
  await eventually("nobody makes a slot any more", async () => {
    const { rowCount } = await pair.sink.query(
      "select from pg_stat_activity where query like 'CREATE_REPLICATION_SLOT%' and datname = $1",
      [pair.environment["SOURCE_URL"]?.split("/").at(-1)],
    );
    expect(rowCount).toBe(0);
  });
  expect(await slot()).toBeUndefined();
});

test("a sink's user to whom the state belongs no more than the tables needs nothing but their rows", async () => {
  const first = await pair.start({ DO_SNAPSHOT: "true" });
  first.process.kill("SIGTERM");
  await first.ended;
  const { rows } = await pair.sink.query("select current_database() as name");
  const user = `other_${rows[0].name}`;
  await pair.sink.query(`
    create role ${user} login password 'other';
    grant usage on schema holdfast to ${user};
    grant select, insert, update, delete on all tables in schema holdfast, public to ${user};
  `);
  const url = new URL(pair.environment["SINK_URL"] ?? "");
  [url.username, url.password] = [user, "other"];
  await pair.start({ DO_SNAPSHOT: "true", SINK_URL: url.href });
  await pair.source.query("insert into item values (2, 'new')");
  await pair.equal("item");
});
