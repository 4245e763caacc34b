import type { Log } from "../../../agent/host/log";
import { ControlPlaneError, type PostOptions } from "../../../agent/worker/control-plane-client";
import { controlPlaneSource } from "../../../agent/worker/control-plane-source";
import { sendHeartbeats } from "../../../agent/worker/heartbeats";
import type { Orders } from "../../../agent/worker/orders";
import {
  BEAT_TIMEOUT_MS,
  beatAgainMs,
  CLAIM_TIMEOUT_MS,
  claimAgainMs,
  PARK_MS,
} from "../../../scripts/bench-control-plane/worker-pace";

const FAILURES = 12;
const log = { warn: () => undefined } as unknown as Log;
const unanswered = () => new ControlPlaneError("no answer", 0, 0, "");

afterEach(() => {
  jest.restoreAllMocks();
});

describe("a bench's workers", () => {
  test("park and give up a claim, and ask again, as an agent does", async () => {
    jest.spyOn(Math, "random").mockReturnValue(0.75);
    const waits: (number | undefined)[] = [];
    jest.spyOn(global, "setTimeout").mockImplementation(((done: () => void, delayMs?: number) => {
      waits.push(delayMs);
      queueMicrotask(done);
    }) as typeof setTimeout);
    const asked: { readonly waitMs: number; readonly timeoutMs: number | undefined }[] = [];
    const source = controlPlaneSource({
      controlPlane: {
        post: async (_: string, { waitMs }: { waitMs: number }, __: string, { timeoutMs }: PostOptions = {}) => {
          asked.push({ waitMs, timeoutMs });
          throw unanswered();
        },
      } as never,
      session: { token: "t", open: true },
      orders: {} as Orders,
      log,
      ending: new AbortController().signal,
    });
    for (let failures = 1; failures <= FAILURES; failures++) await source.claim(1, new AbortController().signal);

    expect(waits).toEqual(Array.from({ length: FAILURES }, (_, index) => claimAgainMs(index + 1)));
    expect(asked).toEqual(asked.map(() => ({ waitMs: PARK_MS, timeoutMs: CLAIM_TIMEOUT_MS })));
  });

  test("give up a heartbeat, and beat again, as an agent does", async () => {
    const leaving = new AbortController();
    const leaseMs = 40_000;
    // Longer than a third of the lease, after which a worker asks for it again.
    const nextMs = 14_000;
    const waits: number[] = [];
    const timeouts: (number | undefined)[] = [];
    const controlPlane = {
      post: async (_: string, __: object, ___: string, { timeoutMs }: PostOptions = {}) => {
        timeouts.push(timeoutMs);
        if (timeouts.length === FAILURES) return { leaseMs, nextMs, actions: [] };
        throw unanswered();
      },
    };
    await sendHeartbeats(
      { protocol: 1, token: "t", progressMs: 1, metricsMs: 1 },
      {
        controlPlane: controlPlane as never,
        log,
        beat: () => ({ message: { state: "active", running: [], released: [] }, answered: () => undefined }),
        sleep: async (delayMs) => {
          waits.push(delayMs);
          if (waits.length === 2 * FAILURES) leaving.abort();
          return false;
        },
        turn: () => undefined,
        random: () => 0.75,
        now: () => 0,
        status: async () => undefined,
      },
      leaving.signal,
    );

    const upTo = (count: number, periodMs: number, leftMs: number) =>
      Array.from({ length: count }, (_, index) => beatAgainMs(index + 1, periodMs, leftMs, () => 0.75));
    expect(waits).toEqual([0, ...upTo(FAILURES - 1, 0, 0), nextMs, ...upTo(FAILURES - 1, nextMs, leaseMs)]);
    expect(new Set(timeouts)).toEqual(new Set([BEAT_TIMEOUT_MS]));
  });
});
