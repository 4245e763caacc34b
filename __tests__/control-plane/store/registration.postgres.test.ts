import { randomUUID } from "node:crypto";
import type { Request } from "../../../control-plane/protocol";
import { transaction } from "../../../control-plane/store/database";
import { registerSession } from "../../../control-plane/store/sessions";
import { eventually } from "../../support/eventually";
import { registrationOf } from "../../support/registration";
import { type TestFleet, useFleets } from "./fleet";

const fleets = useFleets();

/** Registers in a transaction that stays open until `last` is over, however long that takes. */
const register = ({ pool, deploymentId }: TestFleet, wanted: Request<"register">, last = async () => {}) =>
  transaction(pool, async (tx) => {
    await tx.query("set local idle_in_transaction_session_timeout = 0");
    await tx.query("set local statement_timeout = 0");
    const said = await registerSession(tx, deploymentId, wanted);
    await last();
    return said;
  });

/** Whether somebody's registration waits for another's transaction. */
const isWaiting = async ({ pool }: TestFleet): Promise<true | undefined> => {
  const { rows } = await pool.query(
    "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ~ 'insert into sessions'",
  );
  return rows.length > 0 ? true : undefined;
};

it("a registration that is repeated while the first is under way is answered as that is", async () => {
  const fleet = await fleets.freshFleet();
  const wanted = registrationOf("i-1", randomUUID());
  let second: Promise<unknown> = Promise.resolve();

  const first = await register(fleet, wanted, async () => {
    second = register(fleet, wanted);
    await eventually(() => isWaiting(fleet));
  });

  expect([first, await second]).toEqual(["registered", "registered"]);
  const { rows } = await fleet.pool.query(
    "select detail -> 'again' as again from audit_log where action = 'session.register' order by seq",
  );
  expect(rows).toEqual([{ again: null }, { again: true }]);
});

it("a registration of a closed session, or of another worker's, is refused", async () => {
  const fleet = await fleets.freshFleet();
  const wanted = registrationOf("i-1", randomUUID());
  expect(await register(fleet, wanted)).toBe("registered");

  expect(await register(fleet, { ...wanted, workerId: "i-2" })).toBe("session_closed");
  await fleet.pool.query("update sessions set state = 'closed', closed_at = now()");
  expect(await register(fleet, wanted)).toBe("session_closed");
});
