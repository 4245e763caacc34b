import { eventually } from "./eventually";
import { usePair } from "./pair";

const pair = usePair();

test.each([
  ["query_timeout", "300"],
  ["idle_in_transaction_session_timeout", "300"],
])("%s of a URL does not take the place of the daemon's own", async (name, value) => {
  await pair.source.query("create table item (id int primary key); insert into item select generate_series(1, 100)");
  await pair.sink.query("create table item (id int primary key)");
  const limited = (variable: "SOURCE_URL" | "SINK_URL") => `${pair.environment[variable]}?${name}=${value}`;
  await pair.sink.query("begin; lock table item in share mode");
  const daemon = pair.launch({
    ...{
      DO_SNAPSHOT: "true",
      SNAPSHOT_CHUNK_SIZE: "10",
      SOURCE_URL: limited("SOURCE_URL"),
      SINK_URL: limited("SINK_URL"),
    },
  });
  // WHEN the copy waits, in a transaction on both sides, for longer than that
  await eventually("the daemon waits for a lock", async () => {
    const { rowCount } = await pair.source.query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and now() - query_start > '1 s'",
    );
    expect(rowCount).toBe(1);
  });
  await pair.sink.query("rollback");
  // THEN nothing broke
  await daemon.reaches("cdc");
  await pair.source.query("insert into item values (0)");
  await pair.equal("item");
  expect(daemon.lines.join("\n")).not.toMatch(/connecting again/);
});
