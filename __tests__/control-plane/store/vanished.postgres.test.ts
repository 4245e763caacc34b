import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { listAudit } from "../../../control-plane/store/audit";
import { Heartbeats } from "../../../control-plane/store/heartbeats";
import { listWorkers } from "../../../control-plane/store/inventory";
import { closeVanished } from "../../../control-plane/store/vanished";
import { type TestFleet, useFleets } from "./fleet";

const { freshFleet } = useFleets();
const QUICK = { ...DEFAULT_TIMING, serverLeaseMs: 1 };
const NOTHING = { running: [], released: [] };

let fleet: TestFleet;
beforeEach(async () => {
  fleet = await freshFleet();
  await fleet.pool.query("update pulse set up_since = now() - interval '1 hour', seen_at = now()");
});

const silentFor = async (interval: string, ...sessions: readonly string[]): Promise<void> => {
  await fleet.pool.query("update leases set expires_at = now() - $1::interval where session_id = any($2)", [
    interval,
    sessions,
  ]);
};
const statesOf = async (...ids: readonly string[]): Promise<unknown[]> => {
  const { rows } = await fleet.pool.query("select id, state, closed_at is not null as dated from sessions");
  const states = new Map(rows.map(({ id, state, dated }) => [id, dated ? `${state} since` : state]));
  return ids.map((id) => states.get(id));
};
const closings = async (): Promise<unknown[]> =>
  (await listAudit(fleet.pool, fleet.deploymentId)).filter(({ action }) => action === "session.close");

it("control-plane 21: closes sessions whose worker was not heard of for a day, portion by portion, each with its entry", async () => {
  const vanished = await Promise.all(["i-1", "i-2", "i-3"].map((id) => fleet.worker(id)));
  const late = await fleet.worker("late");
  const healthy = await fleet.worker("healthy");
  await silentFor("25 hours", ...vanished);
  await silentFor("23 hours", late);

  expect(await closeVanished(fleet.pool, QUICK, 2)).toBe(3);

  expect(await statesOf(...vanished, late, healthy)).toEqual([...Array(3).fill("closed since"), "open", "open"]);
  const { rows } = await fleet.pool.query("select session_id from leases");
  expect(rows.map(({ session_id }) => session_id).sort()).toEqual([late, healthy].sort());
  expect((await listWorkers(fleet.pool, fleet.deploymentId)).map(({ workerId }) => workerId)).toEqual([
    "healthy",
    "late",
  ]);
  const entries = await closings();
  expect(entries).toHaveLength(3);
  expect(entries).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ actor: "sweeper", subject: "i-1", detail: { session: vanished[0], vanished: true } }),
    ]),
  );
  expect(await closeVanished(fleet.pool, QUICK)).toBe(0);
  expect(await closings()).toHaveLength(3);
});

it("closes sessions that never opened, a day after they were registered", async () => {
  const never = await fleet.register("never");
  const fresh = await fleet.register("fresh");
  await fleet.pool.query("update sessions set registered_at = now() - interval '25 hours' where id = $1", [never]);

  expect(await closeVanished(fleet.pool, QUICK)).toBe(1);

  expect(await statesOf(never, fresh)).toEqual(["closed since", "registered"]);
});

it("control-plane 25: what such a worker was given is of no use any more; a new session of it is", async () => {
  const heartbeats = new Heartbeats(fleet.pool, DEFAULT_TIMING.serverLeaseMs, 5);
  const [vanished, never] = [await fleet.worker("i-1"), await fleet.register("i-2")];
  await silentFor("25 hours", vanished);
  await fleet.pool.query("update sessions set registered_at = now() - interval '25 hours' where id = $1", [never]);
  await closeVanished(fleet.pool, QUICK);
  await fleet.job("orders");

  expect(await heartbeats.beat(fleet.beating(vanished), "open", NOTHING)).toBe("refused");
  expect(await heartbeats.beat(fleet.beating(never), "registered", NOTHING)).toBe("refused");
  expect(await fleet.claim(vanished)).toEqual([]);
  expect(await fleet.claim(await fleet.worker("i-1"))).toHaveLength(1);
});

it("control-plane 12: never touches a session that holds a job, however long it was silent", async () => {
  await fleet.job("kept", { onDisconnect: "keep" });
  const holder = await fleet.worker("i-1");
  const ref = await fleet.run(holder);
  await silentFor("30 days", holder);

  expect(await closeVanished(fleet.pool, QUICK)).toBe(0);

  expect(await statesOf(holder)).toEqual(["open"]);
  expect(await fleet.row(ref.jobId)).toMatchObject({ state: "running", session_id: holder });
});

it("control-plane 12: judges nobody before the control plane was up for a whole lease", async () => {
  const silent = await fleet.worker("i-1");
  await silentFor("25 hours", silent);
  await fleet.pool.query("update pulse set up_since = now() - interval '29 seconds'");

  expect(await closeVanished(fleet.pool, DEFAULT_TIMING)).toBe(0);

  expect(await statesOf(silent)).toEqual(["open"]);
});

it("control-plane 12: judges nobody before the control plane has noted that it was away", async () => {
  const silent = await fleet.worker("i-1");
  await silentFor("25 hours", silent);
  await fleet.pool.query("update pulse set seen_at = now() - interval '2 days'");

  expect(await closeVanished(fleet.pool, QUICK)).toBe(0);

  expect(await statesOf(silent)).toEqual(["open"]);
});

it("leaves a session whose lease is being renewed", async () => {
  const silent = await fleet.worker("i-1");
  await silentFor("25 hours", silent);
  const beat = await fleet.pool.connect();
  await beat.query("begin");
  await beat.query("update leases set expires_at = now() + interval '30 seconds' where session_id = $1", [silent]);

  expect(await closeVanished(fleet.pool, QUICK)).toBe(0);

  await beat.query("commit");
  beat.release();
  expect(await statesOf(silent)).toEqual(["open"]);
});

it("control-plane 22: of two copies at once each session is closed by one", async () => {
  const vanished = await Promise.all(Array.from({ length: 20 }, (_, index) => fleet.worker(`i-${index}`)));
  await silentFor("25 hours", ...vanished);

  const [one, other] = await Promise.all([closeVanished(fleet.pool, QUICK, 3), closeVanished(fleet.pool, QUICK, 3)]);
  // What both passed by because the other had it locked is there for the next period.
  const left = await closeVanished(fleet.pool, QUICK);

  expect(one + other + left).toBe(20);
  expect(await closings()).toHaveLength(20);
});
