import type { Pool } from "pg";
import type { ApiContext } from "../../../control-plane/api/context";
import { keepHouse } from "../../../control-plane/api/housekeeping";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";

const LOOK_MS = 5_000;
const RETENTION = { retentionDays: 30, auditRetentionDays: 365 };

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

  const duties = ["upgrades", "horizon", "vanished", "retention", "audit-retention"];
  expect(taken.sort()).toEqual([...duties, ...duties].sort());
  expect(told.sort()).toEqual(taken);
});
