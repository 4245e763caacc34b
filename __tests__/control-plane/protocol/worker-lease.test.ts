import fc from "fast-check";
import { remainingMs, renewed, type SteadyClock, ticked } from "../../../control-plane/protocol/worker-lease";

const START: SteadyClock = { elapsedMs: 0, lastTick: { monotonicMs: 0, wallMs: 1_000_000 } };

describe("a worker's lease", () => {
  it("counts a suspension, during which only the wall clock goes on", () => {
    const clock = ticked(START, { monotonicMs: 10, wallMs: 1_060_010 });

    expect(remainingMs({ sentAtMs: 0, leaseMs: 15_000 }, clock)).toBeLessThan(0);
  });

  it("counts on when the wall clock is set back", () => {
    const setBack = ticked(START, { monotonicMs: 20_000, wallMs: 400_000 });

    expect(remainingMs({ sentAtMs: 0, leaseMs: 15_000 }, setBack)).toBe(-5_000);
  });

  it("counts a suspension that follows a wall clock set back", () => {
    const setBack = ticked(START, { monotonicMs: 1_000, wallMs: 941_000 });
    const resumed = ticked(setBack, { monotonicMs: 1_000, wallMs: 971_000 });

    expect(resumed.elapsedMs).toBe(31_000);
  });

  it("never runs slower than true time, however the wall clock is set and the machine suspended between ticks", () => {
    const step = fc.record({
      runMs: fc.nat(5_000),
      suspendMs: fc.nat(60_000),
      setWallMs: fc.integer({ min: -100_000, max: 100_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        let clock = START;
        let trueMs = 0;
        let { monotonicMs, wallMs } = START.lastTick;
        const pass = (runMs: number, suspendMs: number): void => {
          trueMs += runMs + suspendMs;
          monotonicMs += runMs;
          wallMs += runMs + suspendMs;
          clock = ticked(clock, { monotonicMs, wallMs });
        };
        for (const { runMs, suspendMs, setWallMs } of steps) {
          pass(runMs, 0);
          wallMs += setWallMs;
          clock = ticked(clock, { monotonicMs, wallMs });
          pass(0, suspendMs);
          expect(clock.elapsedMs).toBeGreaterThanOrEqual(trueMs);
        }
      }),
      { seed: 5 },
    );
  });

  it("keeps the renewal that was sent last when answers overtake each other", () => {
    const earlier = { sentAtMs: 5_000, leaseMs: 15_000 };
    const later = { sentAtMs: 10_000, leaseMs: 15_000 };

    expect(renewed(later, earlier)).toBe(later);
    expect(renewed(earlier, later)).toBe(later);
    expect(renewed(undefined, earlier)).toBe(earlier);
  });
});
