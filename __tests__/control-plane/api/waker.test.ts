import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { NOTIFY_EVERY_MS } from "../../../control-plane/api/notifications";
import { Waker } from "../../../control-plane/api/waker";
import type { Prepared } from "../../../control-plane/store/database";
import { type ReadyGroup, ReadyJobs } from "../../../control-plane/store/ready-jobs";

const SOMEBODY = { deploymentId: "d", pool: "default", labels: {} };
const NOWHERE = "postgres://127.0.0.1:1/none";
const wakerOf = (pool: Pool): Waker => new Waker(pool, NOWHERE, new ReadyJobs(pool));
let waker: Waker;

beforeEach(() => jest.useFakeTimers({ doNotFake: ["nextTick", "queueMicrotask", "setImmediate"] }));
afterEach(async () => {
  await waker.stop();
  jest.useRealTimers();
});

it("control-plane 25: what a session is to be told ends its parked claim in the same instant, and other copies hear of it within 50 ms", async () => {
  const told: { atMs: number; sessions: string[] }[] = [];
  const pool = {
    query: async (sql: string, [, payload = ""]: readonly string[] = []) => {
      if (sql.includes("pg_notify")) told.push({ atMs: performance.now(), sessions: payload.split(",").slice(1) });
      return { rows: [] };
    },
  } as unknown as Pool;
  waker = wakerOf(pool);
  const { signal } = new AbortController();
  const parked = ["first", "second"].map(async (sessionId) => {
    const ending = await waker.park({ sessionId, placement: SOMEBODY }, 45_000, signal);
    return { ...ending, atMs: performance.now() };
  });
  await jest.advanceTimersByTimeAsync(10_000);
  const atMs = performance.now();

  waker.sessionTouched("first");
  waker.sessionTouched("second");
  await jest.advanceTimersByTimeAsync(0);
  await jest.advanceTimersByTimeAsync(NOTIFY_EVERY_MS);

  expect(await Promise.all(parked)).toEqual([1, 2].map(() => ({ why: "news", atMs })));
  expect(told).toEqual([
    { atMs, sessions: ["first"] },
    { atMs: atMs + NOTIFY_EVERY_MS, sessions: ["second"] },
  ]);
});

it("control-plane 25: news that the database did not take is told again a second later, with what has come since", async () => {
  const told: string[][] = [];
  const pool = {
    query: async (_: string, [, payload = ""]: readonly string[] = []) => {
      told.push(payload.split(",").slice(1));
      if (told.length < 3) throw new Error("timeout exceeded when trying to connect");
      return { rows: [] };
    },
  } as unknown as Pool;
  waker = wakerOf(pool);

  waker.sessionTouched("first");
  await jest.advanceTimersByTimeAsync(100);
  waker.sessionTouched("second");
  await jest.advanceTimersByTimeAsync(10_000);

  expect(told).toEqual([["first"], ["first", "second"], ["first", "second"]]);
});

it("control-plane 20: a copy sends at most 20 notifications a second, however much becomes ready, and forgets no session", async () => {
  const told: string[] = [];
  const pool = {
    query: async (sql: string, values: readonly string[] = []) => {
      if (sql.includes("pg_notify")) told.push(values[1] ?? "");
      return { rows: [] };
    },
  } as unknown as Pool;
  waker = wakerOf(pool);
  const sessions = Array.from({ length: 1_000 }, () => randomUUID());

  for (let millisecond = 0; millisecond < 5_000; millisecond++) {
    waker.jobsReady();
    if (millisecond === 2_000) for (const session of sessions) waker.sessionTouched(session);
    await jest.advanceTimersByTimeAsync(1);
  }
  await jest.advanceTimersByTimeAsync(1_000);

  expect(told.length).toBeGreaterThan(10);
  expect(told.length).toBeLessThanOrEqual(20 * 5 + 1);
  expect(new Set(told.flatMap((payload) => payload.split(",").slice(1)).filter(Boolean))).toEqual(new Set(sessions));
  expect(Math.max(...told.map((payload) => Buffer.byteLength(payload)))).toBeLessThan(8_000);
});

/** A database that says how many jobs are ready. */
function databaseWith(ready: ReadyGroup[]) {
  const query = async ({ text = "" }: Partial<Prepared>) => ({ rows: text.includes("from ready_jobs") ? ready : [] });
  return { query } as unknown as Pool;
}

const park = (labels = {}) =>
  waker.park({ sessionId: "s", placement: { ...SOMEBODY, labels } }, 60_000, new AbortController().signal);
const turn = (): Promise<void> => jest.advanceTimersByTimeAsync(10);

it("control-plane 14: wakes one claim for each job, however often it looks before that claim has asked", async () => {
  waker = wakerOf(databaseWith([{ ...SOMEBODY, jobs: 2 }]));
  const parked = Array.from({ length: 10 }, () => park());
  const jobsBecomeReady = async (): Promise<void> => {
    waker.jobsReady();
    await turn();
  };

  for (let round = 0; round < 5; round++) await jobsBecomeReady();
  expect(waker.size).toBe(8);
  // One of the two has asked, and the jobs are ready still.
  waker.asks(SOMEBODY, await parked[0])(true);
  await jobsBecomeReady();
  expect(waker.size).toBe(7);
});

it("control-plane 14: a job that comes to be at this copy wakes a claim of a worker that may take it, before anybody is asked", async () => {
  waker = wakerOf(databaseWith([]));
  const needy = { ...SOMEBODY, labels: { gpu: "yes", zone: "a" } };
  waker.jobsReady();
  await turn();
  const woken: string[] = [];
  void park().then(() => woken.push("bare"));
  void park({ gpu: "yes", zone: "b" }).then(() => woken.push("elsewhere"));
  void park({ zone: "a", gpu: "yes", disk: "fast" }).then(() => woken.push("able"));

  waker.jobReady(needy);
  await new Promise(setImmediate);

  expect(woken).toEqual(["able"]);
  expect(waker.mayHaveWork(needy)).toBe(false);
  waker.jobReady(needy);
  expect(waker.mayHaveWork({ ...needy, labels: { zone: "a" } })).toBe(false);
  expect(waker.mayHaveWork(needy)).toBe(true);
});

it("control-plane 14: of claims of differently labelled workers those are woken that have waited longest", async () => {
  const ready = { ...SOMEBODY, jobs: 0 };
  waker = wakerOf(databaseWith([ready]));
  const woken: number[] = [];
  for (let index = 0; index < 9; index++) void park({ zone: "abc"[index % 3] }).then(() => woken.push(index));
  await turn();

  waker.jobComing(SOMEBODY);
  await turn();
  Object.assign(ready, { jobs: 4 });
  waker.jobsReady();
  await turn();

  expect(woken).toEqual([0, 1, 2, 3, 4]);
  expect(waker.size).toBe(4);
});

it("control-plane 16: a job that no worker of a large fleet may take is held against each kind of worker once", async () => {
  waker = wakerOf(databaseWith([{ ...SOMEBODY, labels: { gpu: "yes" }, jobs: 1 }]));
  let asked = 0;
  const labels = () =>
    new Proxy({} as Record<string, string>, {
      get: () => {
        asked += 1;
        return undefined;
      },
    });
  for (let index = 0; index < 1_000; index++) void park(labels());

  waker.jobsReady();
  await turn();

  expect(waker.size).toBe(1_000);
  expect(asked).toBe(1);
});

it("control-plane 16: a claim that comes while others are awake for all jobs that are ready waits as well", async () => {
  waker = wakerOf(databaseWith([{ ...SOMEBODY, jobs: 2 }]));
  const parked = park();
  waker.jobsReady();
  await turn();
  const woken = await parked;
  expect(woken).toMatchObject({ why: "jobs" });
  expect(waker.mayHaveWork(SOMEBODY)).toBe(true);

  const first = waker.asks(SOMEBODY, woken);
  expect(waker.mayHaveWork(SOMEBODY)).toBe(true);
  const second = waker.asks(SOMEBODY, undefined);
  expect(waker.mayHaveWork(SOMEBODY)).toBe(false);
  second(true);
  expect(waker.mayHaveWork(SOMEBODY)).toBe(true);
  waker.asks(SOMEBODY, undefined);
  expect(waker.mayHaveWork(SOMEBODY)).toBe(false);
  waker.jobReady(SOMEBODY);
  expect(waker.mayHaveWork(SOMEBODY)).toBe(true);
  first(false);
});

it("control-plane 14: a job that is about to come to be wakes one claim for it, and is not said to be ready", async () => {
  waker = wakerOf(databaseWith([]));
  waker.jobsReady();
  await turn();
  const [first, second] = [park(), park()];

  waker.jobComing(SOMEBODY);

  expect(await first).toMatchObject({ why: "jobs" });
  expect(waker.size).toBe(1);
  expect(waker.mayHaveWork(SOMEBODY)).toBe(false);
  await waker.stop();
  expect(await second).toEqual({ why: "over" });
});

it("control-plane 16: a claim that found nothing more keeps others from asking, but for jobs that came after it had asked", async () => {
  waker = wakerOf(databaseWith([]));
  waker.jobsReady();
  await turn();
  waker.jobReady(SOMEBODY);
  const first = waker.asks(SOMEBODY, undefined);
  first(true);
  expect(waker.mayHaveWork(SOMEBODY)).toBe(true);
  const second = waker.asks(SOMEBODY, undefined);
  const third = waker.asks(SOMEBODY, undefined);
  second(false);
  expect(waker.mayHaveWork(SOMEBODY)).toBe(false);

  waker.jobReady(SOMEBODY);
  third(false);

  expect(waker.mayHaveWork(SOMEBODY)).toBe(true);
});

it("control-plane 29: news for a session whose claim is on its way does not wait for the next", async () => {
  waker = wakerOf(databaseWith([]));

  waker.sessionTouched("s");

  expect(await park()).toEqual({ why: "news" });
  void park();
  expect(waker.size).toBe(1);
});

it("a claim that was woken is parked no longer, and its time and its asker end nothing more", async () => {
  waker = wakerOf(databaseWith([]));
  const asker = new AbortController();
  const parked = waker.park({ sessionId: "s", placement: SOMEBODY }, 1_000, asker.signal);
  waker.sessionTouched("s");
  expect(await parked).toEqual({ why: "news" });

  asker.abort();
  await jest.advanceTimersByTimeAsync(1_000);

  expect(waker.size).toBe(0);
});

it("control-plane 14: a look that began before a job became ready is followed by another", async () => {
  const ready: ReadyGroup[] = [];
  const looks: (() => void)[] = [];
  const query = async ({ text = "" }: Partial<Prepared>) => {
    const rows = text.includes("from ready_jobs") ? [...ready] : [];
    if (text.includes("from ready_jobs")) await new Promise<void>((resolve) => looks.push(resolve));
    return { rows };
  };
  waker = wakerOf({ query } as unknown as Pool);
  waker.jobsReady();
  ready.push({ ...SOMEBODY, jobs: 1 });
  waker.jobReady(SOMEBODY);
  looks.shift()?.();
  await turn();

  looks.shift()?.();
  await turn();

  expect(waker.mayHaveWork(SOMEBODY)).toBe(true);
});

it("control-plane 14: a job whose claim was woken and has never asked wakes another a second later", async () => {
  waker = wakerOf(databaseWith([{ ...SOMEBODY, jobs: 1 }]));
  waker.start();
  for (let claims = 0; claims < 3; claims++) void park();

  await jest.advanceTimersByTimeAsync(1_000);
  expect(waker.size).toBe(2);
  await jest.advanceTimersByTimeAsync(1_000);
  expect(waker.size).toBe(1);
});

it("control-plane 29: news for a session is forgotten when no claim has come for it", async () => {
  waker = wakerOf(databaseWith([]));
  waker.start();
  waker.sessionTouched("s");

  await jest.advanceTimersByTimeAsync(1_000);
  void park();

  expect(waker.size).toBe(1);
});
