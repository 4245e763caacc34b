import type { ApiContext } from "../../../control-plane/api/context";
import { HANDLERS, type Sender } from "../../../control-plane/api/worker-messages";
import { nextBeatMs } from "../../../control-plane/lease/next-beat";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { seededRandom } from "../../../scripts/seeded-random";

const WORKERS = 10_000;
const PERIOD_MS = 10_000;
/** What a timer and a network are late by. */
const LATE_MS = 3;

it("control-plane 15: heartbeats that came at any time come in steps from then on, as many with each, after a period or up to a fifth more or less", () => {
  const random = seededRandom(15);
  const asked = new Set<number>();
  let arrivals = Array.from({ length: WORKERS }, () => random() * PERIOD_MS);
  for (let beat = 0; beat < 20; beat++) {
    arrivals = arrivals.map((at) => {
      const nextMs = nextBeatMs(PERIOD_MS, at, random);
      asked.add(nextMs);
      return at + nextMs + LATE_MS * random();
    });
  }

  expect([...asked].filter((nextMs) => !Number.isInteger(nextMs))).toEqual([]);
  expect(Math.min(...asked)).toBeGreaterThanOrEqual(0.8 * PERIOD_MS);
  expect(Math.max(...asked)).toBeLessThanOrEqual(1.2 * PERIOD_MS);
  const sinceStep = arrivals.map((at) => (at + 0.5) % 200);
  expect(Math.max(...sinceStep)).toBeLessThan(LATE_MS + 1);
  const inSecond = Array(10).fill(0);
  for (const at of arrivals) inSecond[Math.floor(at / 1_000) % 10] += 1;
  // Six times the standard deviation.
  for (const count of inSecond) expect(Math.abs(count - WORKERS / 10)).toBeLessThan(180);
});

it.each([1, 3, 40, 200, 1_000, 5_000])("also a period of %i ms is a fifth more or less at most", (heartbeatMs) => {
  const random = seededRandom(heartbeatMs);
  for (let nowMs = 0.25; nowMs < 2 * heartbeatMs; nowMs += heartbeatMs / 77) {
    const nextMs = nextBeatMs(heartbeatMs, nowMs, random);
    expect(nextMs).toBeGreaterThanOrEqual(Math.floor(0.8 * heartbeatMs) || 1);
    expect(nextMs).toBeLessThanOrEqual(Math.ceil(1.2 * heartbeatMs));
  }
});

it("the next heartbeat is counted from when the last arrived, however long the database took to renew its lease, and has its step by the time of day, as at every copy", async () => {
  jest.useFakeTimers({ now: 1_234_567_890_123 });
  const renewed = { held: [], draining: false, drainOrdered: false, owesTest: false, owesUpgrade: false };
  const beat = async () => {
    jest.advanceTimersByTime(37);
    return renewed;
  };
  const timing = { ...DEFAULT_TIMING, heartbeatMs: PERIOD_MS };
  const api = { heartbeats: { beat }, timing } as unknown as ApiContext;
  const sender = { sessionId: "s", holder: { tokenId: "t", session: { state: "open" } } } as unknown as Sender;
  const arrivedAt = Date.now();
  const { nextMs } = await HANDLERS.heartbeat(api, sender, { seq: 1, state: "active", running: [], released: [] });
  jest.useRealTimers();
  expect((arrivedAt + nextMs) % 200).toBe(0);
});
