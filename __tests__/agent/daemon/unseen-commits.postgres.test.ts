import { eventually } from "./eventually";
import { usePair } from "./pair";

const pair = usePair();

const serverSetting = async (statement: string) => {
  await pair.sink.query(statement);
  await pair.sink.query("select pg_reload_conf()");
};

/** While `work` runs, a change is in the log that no session sees yet: it waits for a standby that there is not. */
async function whileUnseen(sql: string, work: () => Promise<void>): Promise<void> {
  await serverSetting("alter system set synchronous_commit = local");
  await serverSetting("alter system set synchronous_standby_names = 'nobody'");
  const { rows } = await pair.sink.query("select pg_current_wal_lsn() as lsn");
  const committed = pair.source.query(`set synchronous_commit = on; ${sql}`);
  try {
    await eventually("the server has sent it", async () => {
      const { rowCount } = await pair.sink.query(
        `select from pg_stat_activity a, pg_stat_replication r
          where a.wait_event = 'SyncRep' and r.application_name = 'holdfast-daemon' and r.sent_lsn > $1`,
        [rows[0].lsn],
      );
      expect(rowCount).toBe(1);
    });
    await work();
  } finally {
    await serverSetting("alter system reset synchronous_standby_names");
    await committed;
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
