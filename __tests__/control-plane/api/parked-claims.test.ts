import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import type { ApiContext } from "../../../control-plane/api/context";
import { Waker } from "../../../control-plane/api/waker";
import { HANDLERS, type Sender } from "../../../control-plane/api/worker-messages";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import type { Answer } from "../../../control-plane/protocol";
import { PICK } from "../../../control-plane/store/claim";
import type { Prepared } from "../../../control-plane/store/database";
import type { Claimed } from "../../../control-plane/store/job-writes";
import { READY, type ReadyGroup, ReadyJobs } from "../../../control-plane/store/ready-jobs";
import { LEASES, SESSIONS, type SessionState } from "../../../control-plane/store/sessions";
import { STILL_VALID } from "../../../control-plane/store/tokens";

const ANSWERS = new Map<Prepared, (ids: readonly string[]) => object[]>([
  [SESSIONS, (ids) => ids.map((id) => ({ id, state: "open", deploymentId: "d", held: 0, open: [], unwanted: [] }))],
  [STILL_VALID, (ids) => ids.map((id) => ({ id }))],
]);

/** A database of a fleet without work, or with more than anybody takes, on virtual time: it counts what it is asked. */
function idleDatabase(ready: readonly ReadyGroup[] = []) {
  const asked: (string | Prepared)[] = [];
  const query = async (statement: string | Prepared, [ids = []]: readonly (readonly string[])[] = []) => {
    asked.push(statement);
    const answers = statement === READY ? () => ready : ANSWERS.get(statement as Prepared);
    const rows = answers?.(ids) ?? [];
    return { rows, rowCount: rows.length };
  };
  const pool = { query, connect: async () => ({ query, on() {}, off() {}, release() {} }) } as unknown as Pool;
  return { pool, count: (...of: Prepared[]) => asked.filter((one) => of.includes(one as Prepared)).length };
}

const SOMEBODY = { deploymentId: "d", pool: "default", labels: {} };
const NOWHERE = "postgres://127.0.0.1:1/none";
const wakerOf = (pool: Pool): Waker => new Waker(pool, NOWHERE, new ReadyJobs(pool));
let waker: Waker;

/** A worker's claim as it comes over HTTP. */
async function claim(
  pool: Pool,
  sessionId: string,
  { freeSlots = 4, asked = async (): Promise<Partial<Claimed>> => ({}) } = {},
): Promise<Answer<"claim">> {
  const telemetry = { claimed() {} };
  const jobWrites = { claim: asked };
  const api = { pool, waker, telemetry, jobWrites, timing: DEFAULT_TIMING } as unknown as ApiContext;
  const { signal } = new AbortController();
  const sender = { sessionId, placement: SOMEBODY, holder: { tokenId: "t" }, gone: signal } as unknown as Sender;
  return await HANDLERS.claim(api, sender, { claimId: randomUUID(), freeSlots, waitMs: 45_000 });
}

beforeEach(() => jest.useFakeTimers({ doNotFake: ["nextTick", "queueMicrotask", "setImmediate"] }));
afterEach(async () => {
  await waker.stop();
  jest.useRealTimers();
});

it("control-plane 16: 10,000 idle workers cause at most 5 claim queries a second in all, in a virtual minute", async () => {
  const { pool, count } = idleDatabase();
  waker = wakerOf(pool);
  waker.start();
  let answers = 0;
  let over = false;
  const worker = async (sessionId: string): Promise<void> => {
    while (!over) {
      const { grants } = await claim(pool, sessionId);
      answers += grants.length === 0 ? 1 : Number.NaN;
    }
  };
  const workers: Promise<void>[] = [];
  await jest.advanceTimersByTimeAsync(1_000);
  for (let index = 0; index < 10_000; index++) workers.push(worker(`session-${index}`));
  await jest.advanceTimersByTimeAsync(60_000);

  expect(waker.size).toBe(10_000);
  expect(answers).toBe(10_000);
  expect(count(READY, PICK, LEASES)).toBeLessThanOrEqual(5 * 61);
  expect(count(READY)).toBeGreaterThan(0);
  // A claim asks once, when it comes, whether its session goes on.
  expect(count(SESSIONS, STILL_VALID)).toBe(2 * 20_000);
  over = true;
  await waker.stop();
  await Promise.all(workers);
}, 600_000);

it.each([1, 10_000])(
  "control-plane 17: what %i claims, answered as their copy stops, ask of the next one is spread over 3 ms for each",
  async (claims) => {
    const { pool } = idleDatabase();
    waker = wakerOf(pool);
    waker.start();
    await jest.advanceTimersByTimeAsync(1_000);
    const answers = Array.from({ length: claims }, (_, index) => claim(pool, `session-${index}`));
    await jest.advanceTimersByTimeAsync(0);
    expect(waker.size).toBe(claims);

    await waker.stop();
    const late = await claim(pool, "late");

    const comeBackMs = (await Promise.all(answers)).map(({ nextMs }) => nextMs);
    const tenths = Array.from({ length: 10 }, (_, tenth) => {
      const [from, to] = [0, 1].map((more) => ((tenth + more) * 3 * claims) / 10) as [number, number];
      return comeBackMs.filter((ms) => ms > from && ms <= to).length;
    });
    expect(tenths.reduce((sum, count) => sum + count)).toBe(claims);
    // Of so many each tenth has its share within six times the standard deviation.
    for (const count of tenths) expect(Math.abs(count - claims / 10)).toBeLessThan(6 * Math.sqrt(claims * 0.09) + 1);
    expect(late.nextMs).toBeLessThanOrEqual(3 * claims);
  },
);

it("control-plane 29: a claim for no slots asks for no jobs and is woken for none, whatever is ready", async () => {
  const { pool, count } = idleDatabase([{ ...SOMEBODY, jobs: 3 }]);
  waker = wakerOf(pool);
  waker.start();
  await jest.advanceTimersByTimeAsync(1_000);
  expect(waker.mayHaveWork(SOMEBODY)).toBe(true);

  const full = claim(pool, "full", { freeSlots: 0 });
  await jest.advanceTimersByTimeAsync(5_000);
  waker.jobReady(SOMEBODY);
  await jest.advanceTimersByTimeAsync(5_000);

  expect(waker.size).toBe(1);
  await jest.advanceTimersByTimeAsync(40_000);
  expect(await full).toMatchObject({ grants: [], actions: [] });
  expect([count(SESSIONS), count(PICK, LEASES)]).toEqual([1, 0]);
});

it("control-plane 16: a claim whose session may have none of the jobs that are ready asks for them once a second", async () => {
  const { pool, count } = idleDatabase([{ ...SOMEBODY, jobs: 3 }]);
  waker = wakerOf(pool);
  waker.start();
  await jest.advanceTimersByTimeAsync(1_000);
  let asks = 0;
  // As where its worker has vanished: its lease is over.
  const asked = async () => {
    asks += 1;
    const session = { id: "ghost", state: "open", unwanted: [] } as unknown as SessionState;
    return { session, granted: [], isMore: true };
  };

  const ghost = claim(pool, "ghost", { asked });
  await jest.advanceTimersByTimeAsync(10_000);

  expect(asks).toBeGreaterThan(5);
  expect(asks).toBeLessThanOrEqual(11);
  expect(count(READY)).toBeLessThanOrEqual(40);
  await jest.advanceTimersByTimeAsync(35_000);
  expect(await ghost).toMatchObject({ grants: [], actions: [] });
});
