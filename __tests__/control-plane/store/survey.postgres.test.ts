import { type Level, MOST_SHOWN, surveyJobs, surveyWorkers } from "../../../control-plane/store/survey";
import { useFleets } from "./fleet";

const fleets = useFleets();

const HELD = ["starting", "running"];
const STATES = [...HELD, "created", "pending", "paused", "stopped", "failed", "completed"];
const WISHES = ["run", "pause", "stop", "delete"];

/** Of what a job may be in: its name says it. */
interface Kind {
  readonly state: string;
  readonly desired: string;
  readonly isHeard: boolean;
  readonly hasGap: boolean;
  readonly hasFailed: boolean;
}

const either = [true, false];
const KINDS: readonly Kind[] = STATES.flatMap((state) =>
  WISHES.flatMap((desired) =>
    (HELD.includes(state) ? either : [false]).flatMap((isHeard) =>
      either.flatMap((hasGap) => either.map((hasFailed) => ({ state, desired, isHeard, hasGap, hasFailed }))),
    ),
  ),
);

/** What control-plane 30 asks for, in other words than the store's. */
function wanted({ state, desired, isHeard, hasGap }: Kind): Level {
  const isHeld = HELD.includes(state);
  if (state === "failed" || (isHeld && !isHeard)) return "bad";
  if (isHeld && desired === "run" && hasGap) return "bad";
  if (state === "running" && desired === "run") return "good";
  return isHeld || state === "pending" ? "warn" : "quiet";
}

test("control-plane 30: of all there can be, a job is good only while a worker that is heard of runs it as it is wished", async () => {
  const fleet = await fleets.freshFleet();
  const { pool, deploymentId, datasourceId } = fleet;
  const heard = await fleet.worker("heard");
  const silent = await fleet.worker("silent");
  await fleet.expireLease(silent);
  for (const kind of KINDS) {
    const session = kind.isHeard ? heard : silent;
    await pool.query(
      `insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool, state, desired, session_id, gap_after, failures)
       values ($1, $2, $3, $3, '{t}', false, 'default', $4, $5, $6, $7, $8)`,
      [
        deploymentId,
        JSON.stringify(kind),
        datasourceId,
        kind.state,
        kind.desired,
        HELD.includes(kind.state) ? session : null,
        kind.hasGap ? "0/5" : null,
        Number(kind.hasFailed),
      ],
    );
  }

  const { states, shown } = await surveyJobs(pool, deploymentId);

  expect(shown).toHaveLength(KINDS.length);
  for (const { name, level, isHeld } of shown) {
    const kind: Kind = JSON.parse(name);
    expect([kind, level, isHeld]).toEqual([kind, wanted(kind), kind.isHeard]);
  }
  for (const { state, count, bad } of states) {
    const alike = KINDS.filter((kind) => kind.state === state);
    expect([state, count, bad]).toEqual([state, alike.length, alike.filter((kind) => wanted(kind) === "bad").length]);
  }
  expect(states.map(({ state }) => state).sort()).toEqual([...STATES].sort());
});

test("control-plane 30: of more than are shown the least urgent are left out, and all are counted", async () => {
  const fleet = await fleets.freshFleet();
  const { pool, deploymentId, datasourceId } = fleet;
  await pool.query(
    `insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool, state)
     select $1, 'job-' || lpad(n::text, 4, '0'), $2, $2, '{t}', false, 'default',
       case n when $3 then 'failed' when $3 - 1 then 'pending' else 'stopped' end
     from generate_series(1, $3::int) n`,
    [deploymentId, datasourceId, MOST_SHOWN + 2],
  );
  const { states, shown } = await surveyJobs(pool, deploymentId);
  expect(states).toEqual([
    { state: "failed", count: 1, bad: 1 },
    { state: "pending", count: 1, bad: 0 },
    { state: "stopped", count: MOST_SHOWN, bad: 0 },
  ]);
  expect(shown).toHaveLength(MOST_SHOWN);
  expect(shown.slice(0, 3).map(({ name }) => name)).toEqual(["job-0502", "job-0501", "job-0001"]);

  for (const id of ["healthy", "draining", "lost", "idle"]) await fleet.worker(id);
  await pool.query("update sessions set draining = true where worker_id = 'draining'");
  await pool.query(
    `update leases set expires_at = now() - interval '9 seconds'
     where session_id in (select id from sessions where worker_id in ('lost', 'idle'))`,
  );
  await pool.query(
    "update jobs set state = 'running', session_id = (select id from sessions where worker_id = 'lost') where name = 'job-0001'",
  );
  const workers = await surveyWorkers(pool, deploymentId);
  expect(workers).toMatchObject({ count: 4, silent: 2 });
  expect(workers.slots).toBe(workers.shown.reduce((sum, { slots }) => sum + slots, 0));
  expect(workers.shown.map(({ workerId, level, jobs, silentMs }) => [workerId, level, jobs, silentMs > 0])).toEqual([
    ["lost", "bad", 1, true],
    ["draining", "warn", 0, false],
    ["idle", "warn", 0, true],
    ["healthy", "good", 0, false],
  ]);
});

test("a deployment of nothing has nothing to show, and no other's", async () => {
  const fleet = await fleets.freshFleet();
  const { pool } = fleet;
  await fleet.job("orders");
  await fleet.worker("w1");
  const nobody = "00000000-0000-0000-0000-000000000000";

  expect(await surveyJobs(pool, nobody)).toEqual({ states: [], shown: [] });
  expect(await surveyWorkers(pool, nobody)).toEqual({ count: 0, silent: 0, slots: 0, shown: [] });
});
