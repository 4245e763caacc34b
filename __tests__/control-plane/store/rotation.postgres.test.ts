import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { createDatasource, rotateKeys } from "../../../control-plane/store/catalog";
import { Heartbeats } from "../../../control-plane/store/heartbeats";
import { saveCheckpoint } from "../../../control-plane/store/holder";
import { groupedJobWrites, type JobWrites } from "../../../control-plane/store/job-writes";
import { ReadyJobs } from "../../../control-plane/store/ready-jobs";
import { parseKeyring, unseal } from "../../../control-plane/store/seal";
import { eventually } from "../../support/eventually";
import { longForm } from "../../support/long-form";
import { KEYRING, type TestFleet, useFleets } from "./fleet";

const fleets = useFleets();

const RECORDS = longForm(200, 10_000);
const PORTION = longForm(70, 500);
const LIMIT_MS = 30_000;
const WORKERS = 5;

const keyring = (...ids: readonly string[]) => parseKeyring(ids.map((id) => `k${id}:${id.repeat(64)}`).join());

/** Creates so many datasources, one of them the fleet's own. */
async function fill(fleet: TestFleet): Promise<void> {
  const datasource = { engine: "postgres", url: "postgres://b", user: "u", options: {} };
  for (let index = 1; index < RECORDS; index++) {
    const named = { ...datasource, name: `db-${index}`, password: `canary-${index}` };
    await createDatasource(fleet.pool, KEYRING, fleet.deploymentId, named, "test");
  }
}

/** One of each write of a worker, whose job is over then. @returns how many were taken */
async function work(fleet: TestFleet, writes: JobWrites, heartbeats: Heartbeats, sessionId: string): Promise<number> {
  const { grantMs } = DEFAULT_TIMING;
  const registration = fleet.registration(sessionId);
  const { tokenId } = registration;
  const claim = { ...registration, sessionId, claimId: randomUUID(), slots: 1, grantMs };
  const claimed = await writes.claim(claim);
  const [grant] = claimed === "refused" ? [] : claimed.granted;
  if (!grant) throw new Error("a job waits and was not granted");
  expect(grant.assignment.spec.source.password).toBe("canary-password");
  const ref = { jobId: grant.jobId, fence: grant.fence };
  const checkpoint = { seq: 1, phase: "streaming", position: "0/1" } as const;
  const taken = [
    await writes.start({ sessionId, tokenId, ...ref }),
    await heartbeats.beat(fleet.beating(sessionId), "open", { running: [], released: [] }),
    await saveCheckpoint(fleet.pool, sessionId, ref, checkpoint),
    await writes.report({ sessionId, tokenId, ...ref, outcome: "completed", logTail: [] }),
  ];
  expect(taken).toEqual(["started", expect.objectContaining({ held: [expect.objectContaining(ref)] }), 1, "reported"]);
  return 1 + taken.length;
}

/** A rotation that waits for a datasource in the middle, which somebody has locked until it may go on. */
async function heldUp(pool: Pool, rotate: () => Promise<number>) {
  const other = await pool.connect();
  await other.query("begin; set local idle_in_transaction_session_timeout = 0");
  await other.query(
    "select 1 from datasources where id = (select id from datasources order by id offset $1 limit 1) for update",
    [Math.floor(RECORDS / 2)],
  );
  const goOn = async (): Promise<void> => {
    await other.query("rollback");
    other.release();
  };
  let ended: unknown;
  const rotation = rotate();
  const end = (what: unknown): void => {
    ended = what;
  };
  rotation.then(end, end);
  try {
    // Not on the connection of the transaction, which sees this view as it was at its first look.
    await eventually(async () => {
      if (ended !== undefined) throw new Error(`the rotation did not wait: ${ended}`);
      const { rows } = await pool.query(
        "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%from datasources%'",
      );
      return rows.length > 0 ? true : undefined;
    });
  } catch (error) {
    await goOn();
    throw error;
  }
  return { rotation, goOn };
}

it(`control-plane 26: ${RECORDS} passwords are wrapped anew while workers go on, and each opens with the new key alone`, async () => {
  const fleet = await fleets.freshFleet();
  const { pool } = fleet;
  await fill(fleet);
  const both = keyring("2", "1");
  const writes = groupedJobWrites(pool, new ReadyJobs(pool), both);
  const heartbeats = new Heartbeats(pool, DEFAULT_TIMING.serverLeaseMs, 1);
  const workers = await Promise.all(Array.from({ length: WORKERS }, (_, index) => fleet.worker(`i-${index}`)));
  for (const index of workers.keys()) await fleet.job(`job-${index}`);
  const wrapped = async (key: string): Promise<number> => {
    const { rows } = await pool.query<{ count: number }>(
      "select count(*) from datasources where split_part(sealed_password, '.', 2) = $1",
      [key],
    );
    return Number(rows[0]?.count);
  };

  // GIVEN a rotation that holds a portion and gets no further
  const { rotation, goOn } = await heldUp(pool, () => rotateKeys(pool, both, "operator:o", PORTION));
  try {
    const before = await wrapped("k2");
    expect(before).toBeGreaterThan(0);

    // THEN workers get through, those too whose passwords are being wrapped
    const done = await Promise.all(workers.map((id) => work(fleet, writes, heartbeats, id)));
    expect(done).toEqual(workers.map(() => 5));
    expect(await wrapped("k2")).toBe(before);
  } finally {
    await goOn();
  }
  expect(await rotation).toBe(RECORDS);

  // AND WHEN nothing stands in its way
  const three = keyring("3", "2", "1");
  const traffic = groupedJobWrites(pool, new ReadyJobs(pool), three);
  let isOver = false;
  const at = performance.now();
  const again = rotateKeys(pool, three, "operator:o", PORTION).then((count) => {
    isOver = true;
    return { count, ms: performance.now() - at };
  });
  let rounds = 0;
  do {
    await fleet.job(`again-${rounds}`);
    await work(fleet, traffic, heartbeats, workers[rounds % WORKERS] as string);
    rounds += 1;
  } while (!isOver);
  const { count, ms } = await again;
  expect(count).toBe(RECORDS);
  if (longForm(0, 1) === 1) expect(ms).toBeLessThan(LIMIT_MS);

  const { rows } = await pool.query("select id, name, version, sealed_password from datasources");
  for (const { id, name, version, sealed_password } of rows) {
    const context = { deploymentId: fleet.deploymentId, datasourceId: id, version };
    expect(unseal(keyring("3"), sealed_password, context)).toBe(
      `canary-${name === "orders-db" ? "password" : name.slice(3)}`,
    );
  }
}, 600_000);
