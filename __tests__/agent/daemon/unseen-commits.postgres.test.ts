import { Client } from "pg";
import { eventually } from "./eventually";
import { usePair } from "./pair";

const pair = usePair();

const serverSetting = async (statement: string) => {
  await pair.sink.query(statement);
  await pair.sink.query("select pg_reload_conf()");
};

/** Sessions whose commits wait for a standby. */
async function waiting(): Promise<number> {
  const { rowCount } = await pair.sink.query("select from pg_stat_activity where wait_event = 'SyncRep'");
  return rowCount ?? 0;
}

/** Commits until one waits: the server asks commits to only some time after it was told. */
async function commitUntilOneWaits(client: Client, isOver: () => boolean): Promise<void> {
  await client.query("set synchronous_commit = on");
  while (!isOver()) await client.query("select pg_logical_emit_message(true, 'probe', '')");
}

/** While `work` runs, a change is in the log that no session sees yet: it waits for a standby that there is not. */
async function whileUnseen(sql: string, work: () => Promise<void>): Promise<void> {
  const probe = new Client({ connectionString: pair.environment["SOURCE_URL"] });
  await probe.connect();
  await serverSetting("alter system set synchronous_commit = local");
  await serverSetting("alter system set synchronous_standby_names = 'nobody'");
  let isOver = false;
  const probed = commitUntilOneWaits(probe, () => isOver);
  let committed: Promise<unknown> | undefined;
  try {
    await eventually("commits wait", async () => expect(await waiting()).toBe(1));
    const { rows } = await pair.sink.query("select pg_current_wal_lsn() as lsn");
    committed = pair.source.query(`set synchronous_commit = on; ${sql}`);
    await eventually("the server has sent it", async () => {
      const sent = await pair.sink.query(
        "select from pg_stat_replication where application_name = 'holdfast-daemon' and sent_lsn > $1",
        [rows[0].lsn],
      );
      expect([await waiting(), sent.rowCount]).toEqual([2, 1]);
    });
    await work();
  } finally {
    isOver = true;
    await serverSetting("alter system reset synchronous_standby_names");
    await Promise.all([probed, committed]);
    await probe.end();
  }
}

test("a column whose transaction comes before the source shows it ends the daemon all the same, and nothing of it is lost", async () => {
  await pair.source.query("create table item (id int primary key); insert into item values (1)");
  const daemon = await pair.start({ DO_SNAPSHOT: "true" });

  await whileUnseen("alter table item add column note text; insert into item values (2, 'kept')", async () => {
    await eventually("the daemon looks again", async () =>
      expect(daemon.lines.join("\n")).toContain("item has changed"),
    );
    expect(await pair.rows("sink", "item")).toEqual(["(1)"]);
  });

  expect(await daemon.ended).toBe(78);
  await pair.sink.query("alter table item add column note text");
  await pair.start({ DO_SNAPSHOT: "true" });
  await pair.equal("item");
});
