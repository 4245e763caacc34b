import fc from "fast-check";
import { LeaseTiming } from "../../../control-plane/lease/timing";

const duration = fc.integer({ min: 1, max: 120_000 });
const timings = fc.record({
  heartbeatMs: fc.integer({ min: 1, max: 20_000 }),
  workerLeaseMs: duration,
  serverLeaseMs: duration,
  killMs: fc.integer({ min: 1, max: 10_000 }),
  watchdogMs: fc.integer({ min: 1, max: 10_000 }),
  clockRateError: fc.integer({ min: 0, max: 100 }).map((permille) => permille / 1_000),
});

describe("LeaseTiming", () => {
  it("control-plane 3: accepts the intervals that are safe and refuses all others", () => {
    const verdicts = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(timings, (timing) => {
        const { workerLeaseMs, serverLeaseMs, killMs, watchdogMs, clockRateError: rho } = timing;
        const safe = workerLeaseMs * (1 + rho) + killMs + watchdogMs <= serverLeaseMs * (1 - rho);
        const survivesALostHeartbeat = timing.heartbeatMs * 2 <= workerLeaseMs;

        const accepted = LeaseTiming.safeParse(timing).success;

        verdicts[accepted ? "accepted" : "refused"] += 1;
        return accepted === (safe && survivesALostHeartbeat);
      }),
      { numRuns: 1_000, seed: 3 },
    );
    expect(verdicts.accepted).toBeGreaterThan(100);
    expect(verdicts.refused).toBeGreaterThan(100);
  });

  it("control-plane 3: says which interval to change, and to what", () => {
    const refused = LeaseTiming.safeParse({ serverLeaseMs: 18_000 });

    expect(refused.error?.issues).toEqual([
      expect.objectContaining({
        path: ["serverLeaseMs"],
        message: expect.stringMatching(/raise serverLeaseMs \(18000\) to 23776 or lower workerLeaseMs \(15000\)/),
      }),
    ]);
    expect(LeaseTiming.safeParse({ serverLeaseMs: 23_776 }).success).toBe(true);
    expect(LeaseTiming.safeParse({ serverLeaseMs: 23_774 }).success).toBe(false);
  });
});
