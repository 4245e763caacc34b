import {
  type ControlPlaneClient,
  ControlPlaneError,
  type PostOptions,
} from "../../../agent/worker/control-plane-client";
import { sendHeartbeats } from "../../../agent/worker/heartbeats";
import { nextBeatMs } from "../../../control-plane/lease/next-beat";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import type { Answer } from "../../../control-plane/protocol";
import { seededRandom } from "../../../scripts/seeded-random";

const PERIOD_MS = 2_000;
const ANSWER_MS = 40;
const SESSION = { protocol: 1, token: "session-token", progressMs: 30_000, metricsMs: 60_000 };

/** A worker that has nothing to say, and hears nothing of what is answered. */
const IDLE = {
  log: { warn: () => {} },
  beat: () => ({ message: { state: "active" as const, running: [], released: [] }, answered: () => {} }),
  turn: () => {},
  status: async () => {},
};

/** When heartbeats leave by a clock that only sleeps and answers move. @param sleepMs what becomes of the nth sleep. */
async function departures(count: number, sleepMs: (delayMs: number, nth: number) => number): Promise<number[]> {
  const leaving = new AbortController();
  const sentAt: number[] = [];
  let clock = 1_000_000;
  let sleeps = 0;
  const answer: Answer<"heartbeat"> = { leaseMs: 30_000, nextMs: PERIOD_MS, actions: [] };
  const post = async () => {
    sentAt.push(clock);
    clock += ANSWER_MS;
    return answer;
  };
  await sendHeartbeats(
    SESSION,
    {
      controlPlane: { post } as unknown as ControlPlaneClient,
      ...IDLE,
      sleep: async (delayMs) => {
        if (sentAt.length === count) leaving.abort();
        clock += sleepMs(delayMs, sleeps++);
        return false;
      },
      random: () => 1,
      now: () => clock,
    },
    leaving.signal,
  );
  return sentAt;
}

const periods = (sentAt: readonly number[]) => sentAt.slice(1).map((at, index) => at - (sentAt[index] ?? at));

test("R23: a machine that is late each time delays heartbeats once: they keep the period, whatever an answer takes", async () => {
  const lateMs = 30;

  const seen = periods(await departures(100, (delayMs) => delayMs + lateMs));

  expect(new Set(seen)).toEqual(new Set([PERIOD_MS]));
});

test("R23: one that leaves far too late is followed by one within a tenth of its period", async () => {
  const late = 5;

  const seen = periods(await departures(10, (delayMs, nth) => delayMs + (nth === late ? 1_500 : 0)));

  expect(seen[late - 1]).toBe(PERIOD_MS + 1_500);
  for (const period of seen.slice(late)) expect(Math.abs(period - PERIOD_MS)).toBeLessThanOrEqual(PERIOD_MS / 10);
});

test("the period counts anew from one that leaves early", async () => {
  const early = 5;

  const seen = periods(await departures(10, (delayMs, nth) => (nth === early ? 100 : delayMs)));

  expect(seen[early - 1]).toBe(ANSWER_MS + 100);
  expect(new Set(seen.slice(early))).toEqual(new Set([PERIOD_MS]));
});

test("after one that is refused the next leaves by a third of the lease, which counts from when it was asked for, not answered", async () => {
  const leaving = new AbortController();
  const sentAt: number[] = [];
  let clock = 0;
  const post = async () => {
    if (sentAt.push(clock) === 3) leaving.abort();
    if (sentAt.length > 1) throw new ControlPlaneError("refused", 503, 0, "");
    clock += 9_000;
    return { leaseMs: 12_000, nextMs: PERIOD_MS, actions: [] };
  };
  await sendHeartbeats(
    SESSION,
    {
      controlPlane: { post } as unknown as ControlPlaneClient,
      ...IDLE,
      sleep: async (delayMs) => {
        clock += delayMs;
        return false;
      },
      random: () => 1,
      now: () => clock,
    },
    leaving.signal,
  );

  expect(sentAt).toEqual([0, 9_000, 10_000]);
});

/** What becomes of a heartbeat that a control plane does not answer: how long it took to know, of what it would be waited for. */
const DOWN: Readonly<Record<string, (timeoutMs: number) => number>> = {
  refuses: () => 0,
  "is silent": (timeoutMs) => timeoutMs,
};

/** The longest time between the departures of two heartbeats that were answered, with a control plane that is down for a while. */
async function longestSilence(down: string, downFrom: number, downMs: number, random: () => number): Promise<number> {
  const { heartbeatMs, workerLeaseMs } = DEFAULT_TIMING;
  const leaving = new AbortController();
  let clock = 0;
  let answeredAt = 0;
  let longest = 0;
  const post = async (_: string, __: object, ___: string, { timeoutMs = Number.NaN }: PostOptions = {}) => {
    if (clock > downFrom + downMs + 2 * workerLeaseMs) leaving.abort();
    if (clock >= downFrom && clock < downFrom + downMs) {
      clock += DOWN[down]?.(timeoutMs) ?? Number.NaN;
      throw new ControlPlaneError("no answer", 0, 0, "");
    }
    longest = Math.max(longest, clock - answeredAt);
    answeredAt = clock;
    clock += ANSWER_MS;
    return { leaseMs: workerLeaseMs, nextMs: nextBeatMs(heartbeatMs, clock, random), actions: [] };
  };
  await sendHeartbeats(
    SESSION,
    {
      controlPlane: { post } as unknown as ControlPlaneClient,
      ...IDLE,
      sleep: async (delayMs) => {
        clock += delayMs;
        return false;
      },
      random,
      now: () => clock,
    },
    leaving.signal,
  );
  return longest;
}

test.each(Object.keys(DOWN))(
  "control-plane 12: a control plane that %s for half a lease, whenever that begins, costs no worker its own",
  async (down) => {
    const { workerLeaseMs } = DEFAULT_TIMING;
    const random = seededRandom(12);

    const silences: number[] = [];
    for (let downFrom = 30_000; downFrom < 50_000; downFrom += 20) {
      silences.push(await longestSilence(down, downFrom, workerLeaseMs / 2, random));
    }

    expect(Math.max(...silences)).toBeLessThan(workerLeaseMs);
    // The worst one had lost its heartbeat in the outage's first moment.
    expect(Math.max(...silences)).toBeGreaterThan(workerLeaseMs * 0.8);
  },
);
