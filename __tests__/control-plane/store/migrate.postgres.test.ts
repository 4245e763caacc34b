import { RENEW } from "../../../control-plane/store/heartbeats";
import { migrate, migrations } from "../../../control-plane/store/migrate";
import { eventually } from "../../support/eventually";
import { lockWaits } from "../../support/lock-waits";
import { connectPatiently } from "../../support/postgres";
import { useFleets } from "./fleet";

const fleets = useFleets();
const NEWER = [...migrations(), { name: "9999-later.sql", sql: "alter table tokens add column later integer" }];

test("a migration that waits for a table in use holds up no heartbeat for long, and is made once the table is free", async () => {
  const fleet = await fleets.freshFleet();
  const { tokenId } = fleet.beating(await fleet.worker("w"));
  // GIVEN a dump, which reads the table for longer than any lease lasts
  const dump = await connectPatiently(fleet.pool);
  await dump.query("set idle_in_transaction_session_timeout = 0; begin; lock table tokens in access share mode");

  // WHEN a copy of a later version starts, and a worker of the present one asks for its lease
  const waits: string[] = [];
  const migrating = migrate(fleet.pool, { wanted: NEWER, waits: (why) => void waits.push(why) });
  await lockWaits(fleet.pool, 1, "alter table tokens%");
  const renewed = await fleet.pool.query(RENEW, [[tokenId], 30]);

  // THEN that is answered, and the migration waits on
  expect(renewed.rowCount).toBe(1);
  expect(await eventually(async () => waits[0])).toContain("the migration is tried again in 4 s");
  await dump.query("commit");
  await dump.end();
  expect(await migrating).toEqual(["9999-later.sql"]);
});

test("a migration may take longer than other statements", async () => {
  const fleet = await fleets.freshFleet();
  const slow = { name: "9999-slow.sql", sql: "select pg_sleep(1)" };
  const { pool } = fleet;
  Object.assign(pool.options, { query_timeout: 100, statement_timeout: 100 });

  expect(await migrate(pool, { wanted: [...migrations(), slow] })).toEqual([slow.name]);
});
