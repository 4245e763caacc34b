import { openDatabase, transaction } from "../../../control-plane/store/database";
import { eventually } from "../../support/eventually";
import { useControlPlane } from "./use-control-plane";

const plane = useControlPlane();

/** Has sessions that begin from now on take no writes, as a standby's do, or take them again. */
async function readOnly(isOn: boolean): Promise<void> {
  const name = new URL(plane.databaseUrl).pathname.slice(1);
  const setting = "default_transaction_read_only";
  await plane.pool.query(
    `begin read write; alter database ${name} ${isOn ? `set ${setting} = on` : `reset ${setting}`}; commit`,
  );
}

const readiness = async () => {
  const answer = await fetch(`${plane.url}/readyz`);
  return [answer.status, ((await answer.json()) as { status: string }).status];
};

it("a copy whose database has come to take no writes says so, and goes on once it takes them", async () => {
  const worker = await plane.worker("i-1").open();
  await readOnly(true);
  await plane.pool.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'holdfast' and pid <> pg_backend_pid()",
  );

  await eventually(async () => ((await readiness())[1] === "the database takes no writes" ? true : undefined));
  expect(await readiness()).toEqual([503, "the database takes no writes"]);
  const beat = { seq: 9, state: "active", running: [], released: [] };
  const refused = await eventually(async () => {
    const reply = await worker.send("heartbeat", beat);
    return String(reply.body.error?.message).includes("answer") ? undefined : reply;
  });
  expect(refused).toEqual({
    status: 503,
    body: {
      error: { code: "unavailable", message: "the database takes no writes: try again", jobs: [], retryAfterMs: 1_000 },
    },
  });

  await readOnly(false);
  await eventually(async () => ((await readiness())[0] === 200 ? true : undefined));
  await eventually(async () => ((await worker.send("heartbeat", beat)).status === 200 ? true : undefined));
});

it("a transaction that the server refuses to write is begun anew on another connection", async () => {
  await readOnly(true);
  const pool = openDatabase(plane.databaseUrl, 1);
  const write = async () => transaction(pool, (tx) => tx.query("insert into duties values ('test', now())"));
  await expect(write()).rejects.toThrow("cannot execute INSERT in a read-only transaction");

  await readOnly(false);

  await expect(write()).resolves.toMatchObject({ rowCount: 1 });
  await pool.end();
});
