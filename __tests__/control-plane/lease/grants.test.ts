import * as coordinator from "../../../control-plane/lease/coordinator";
import { newJob } from "../../../control-plane/lease/job";
import { DEFAULT_TIMING, grantLastsMs } from "../../../control-plane/lease/timing";

const { grantMs, sweepMs } = DEFAULT_TIMING;
const JOB = "job";
const SESSION = "session";

/** How long a job that is granted at such a time waits for somebody to take it back, where one sweep is left out. */
function backAfterMs(grantedAtMs: number, leftOut: number): number {
  const state = coordinator.newCoordinator(DEFAULT_TIMING, 0);
  const queued = { ...newJob({ onDisconnect: "stop", maxRetries: 0 }), state: "pending" } as const;
  state.jobs.set(JOB, queued);
  coordinator.register(state, SESSION, "w");
  coordinator.heartbeat(state, grantedAtMs, SESSION, { running: [], released: [] });
  expect(coordinator.claim(state, grantedAtMs, SESSION, 1)).toHaveLength(1);
  for (let sweep = Math.ceil(grantedAtMs / sweepMs); ; sweep++) {
    if (sweep !== leftOut) coordinator.sweep(state, sweep * sweepMs);
    if (state.jobs.get(JOB)?.state === "pending") return sweep * sweepMs - grantedAtMs;
  }
}

it("control-plane 11: a job that is granted and not started is back in 10 s, whenever it is granted and whichever sweep fails", () => {
  expect(grantMs).toBe(10_000);
  for (let grantedAtMs = 1; grantedAtMs <= sweepMs; grantedAtMs += 7) {
    for (let leftOut = 0; leftOut <= 12; leftOut++) {
      const afterMs = backAfterMs(grantedAtMs, leftOut);
      if (afterMs > grantMs)
        throw new Error(`granted at ${grantedAtMs}, back after ${afterMs} ms without sweep ${leftOut}`);
      expect(afterMs).toBeGreaterThanOrEqual(grantLastsMs(DEFAULT_TIMING));
    }
  }
});

it("control-plane 11: a worker has half the time to start a job where sweeps are too rare to promise when it is back", () => {
  expect(grantLastsMs({ grantMs: 10_000, sweepMs: 1_000 })).toBe(8_000);
  expect(grantLastsMs({ grantMs: 10_000, sweepMs: 2_500 })).toBe(5_000);
  expect(grantLastsMs({ grantMs: 9, sweepMs: 3_600_000 })).toBe(5);
});

describe("control-plane 1: a start and the heartbeat of a drain that does not list it", () => {
  const granted = () => {
    const state = coordinator.newCoordinator(DEFAULT_TIMING, 0);
    state.jobs.set(JOB, { ...newJob({ onDisconnect: "stop", maxRetries: 0 }), state: "pending" });
    for (const session of [SESSION, "other"]) {
      coordinator.register(state, session, session);
      coordinator.heartbeat(state, 0, session, { running: [], released: [] });
    }
    const [ref] = coordinator.claim(state, 0, SESSION, 1) as coordinator.Ref[];
    const start = () => coordinator.started(state, 1, { session: SESSION, fence: ref?.fence ?? 0 }, JOB);
    const drain = (running: coordinator.Ref[] = []) =>
      coordinator.heartbeat(state, 1, SESSION, { running, released: [], draining: true });
    return { ref: ref as coordinator.Ref, start, drain, taken: () => coordinator.claim(state, 1, "other", 1) };
  };

  it("control-plane 1: the start comes first: nobody else gets the job", () => {
    const { start, drain, taken } = granted();
    expect(start()).toBe("started");
    drain();
    expect(taken()).toEqual([]);
  });

  it("control-plane 1: the heartbeat comes first: the start is refused, also once the job is another's", () => {
    const { ref, start, drain, taken } = granted();
    drain();
    expect(start()).toBe("fenced");
    expect(taken()).toEqual([{ jobId: JOB, fence: ref.fence + 1 }]);
    expect(start()).toBe("fenced");
  });

  it("control-plane 1: a start that the heartbeat lists is let be", () => {
    const { ref, start, drain, taken } = granted();
    drain([ref]);
    expect(taken()).toEqual([]);
    expect(start()).toBe("started");
  });
});
