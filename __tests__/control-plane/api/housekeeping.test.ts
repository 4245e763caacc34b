import { setTimeout as pause } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Pool } from "pg";
import type { ApiContext } from "../../../control-plane/api/context";
import { keepHouse } from "../../../control-plane/api/housekeeping";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

const LOOK_MS = 5_000;
const RETENTION = { retentionDays: 30, auditRetentionDays: 365 };

/** A copy to which one duty falls, each time. */
function dueIs(duty: string, told: unknown[] = []): ApiContext {
  const query = async (sql: string, [name]: readonly unknown[] = []) => {
    if (sql.includes("insert into duties")) return { rows: name === duty ? [1] : [] };
    return { rows: sql.includes("now() as at") ? [{ at: new Date() }] : [] };
  };
  const logger = { warn: (fields: unknown) => told.push(fields) };
  return { pool: { query }, logger, timing: DEFAULT_TIMING } as unknown as ApiContext;
}

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

it("control-plane 22: a duty that fails is told, keeps no other from being done, and comes again", async () => {
  const taken: string[] = [];
  const told: string[] = [];
  const full = async () => {
    throw new Error("the disk is full");
  };
  const query = async (sql: string, [name = ""]: readonly string[] = []) => {
    if (!sql.includes("insert into duties")) return await full();
    taken.push(name);
    return { rows: [1] };
  };
  const pool = { query, connect: full } as unknown as Pool;
  const logger = { warn: ({ duty }: { duty: string }) => told.push(duty) };
  const keeping = keepHouse({ pool, logger, timing: DEFAULT_TIMING } as unknown as ApiContext, RETENTION);

  await jest.advanceTimersByTimeAsync(LOOK_MS);
  await keeping.stop();
  await jest.advanceTimersByTimeAsync(10 * LOOK_MS);

  const duties = ["upgrades", "horizon", "vanished", "retention", "pools", "audit-retention"];
  expect(taken.sort()).toEqual([...duties, ...duties].sort());
  expect(told.sort()).toEqual(taken);
});

it("a publication of the backlog that is not over in time is given up, told, and begun again when it is due", async () => {
  const told: unknown[] = [];
  const signals: AbortSignal[] = [];
  const publishBacklog = (_backlog: unknown, _minute: Date, givenUp: AbortSignal) => {
    signals.push(givenUp);
    return new Promise<void>(() => {});
  };
  const keeping = keepHouse(dueIs("backlog", told), { ...RETENTION, publishBacklog });

  await jest.advanceTimersByTimeAsync(29_000);
  expect(told).toEqual([]);
  await jest.advanceTimersByTimeAsync(1_000 + LOOK_MS);

  expect(told).toEqual([{ duty: "backlog", error: "Error: the backlog was not published within 30 s" }]);
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  await keeping.stop();
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
});

it("keeps nothing of a publication that is over, which comes each minute for as long as the copy runs", async () => {
  jest.useRealTimers();
  const published: WeakRef<AbortSignal>[] = [];
  const publishBacklog = async (_backlog: unknown, _minute: Date, givenUp: AbortSignal) => {
    published.push(new WeakRef(givenUp));
  };
  const keeping = keepHouse(dueIs("backlog"), { ...RETENTION, publishBacklog });

  for (let round = 0; round < 10; round++) {
    await pause(10);
    collectGarbage();
  }
  const [first] = published;
  expect(first).toBeInstanceOf(WeakRef);
  expect(first?.deref() === undefined).toBe(true);
  await keeping.stop();
});
