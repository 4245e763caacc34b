import { DEFAULT_TIMING, daemonsGoneAfterMs, LeaseTiming } from "../../../control-plane/lease/timing";
import { longForm } from "../../support/long-form";
import { MUTANTS, type Mutant } from "./simulator/mutants";
import { simulate } from "./simulator/simulate";

const quantile = (sorted: readonly number[], share: number): number => {
  const value = sorted[Math.floor(sorted.length * share)];
  if (value === undefined) throw new Error("nothing was measured");
  return value;
};

/** How the simulator notices that a rule is left out, over so many hours. */
const NOTICED: Readonly<
  Record<Mutant, { hours: number; by: "double runs" | "slow recovery" | "lost jobs" | "overturned ends" }>
> = {
  "no watchdog": { hours: 10, by: "double runs" },
  "orphaned daemons": { hours: 10, by: "double runs" },
  "no restart grace": { hours: 30, by: "double runs" },
  "monotonic-only clock": { hours: 10, by: "double runs" },
  "no margin": { hours: 10, by: "double runs" },
  "no release report": { hours: 30, by: "slow recovery" },
  "response-time deadline": { hours: 60, by: "double runs" },
  "unfenced complete": { hours: 60, by: "double runs" },
  "forgotten requeue": { hours: 10, by: "lost jobs" },
  "late report overturns": { hours: 100, by: "overturned ends" },
};

/** Of 100 hours each. */
const SEEDS = Array.from({ length: longForm(3, 100) }, (_, index) => index + 1);

describe("the lease protocol under every fault at once", () => {
  it.each(SEEDS)(
    "control-plane 1: no double run and no job lost in 100 simulated hours, seed %d",
    (seed) => {
      const outcome = simulate({ seed, hours: 100 });

      expect(outcome.doubleRuns).toBe(0);
      expect(outcome).toMatchObject({ stuck: [], lost: [], overturned: 0 });
      expect(outcome.starts).toBeGreaterThan(3_000);
      expect(quantile(outcome.recoveriesMs, 0.5)).toBeLessThan(30_000);
    },
    300_000,
  );

  it("control-plane 1: no double run with other intervals that satisfy the lease arithmetic", () => {
    const quick = { heartbeatMs: 3_000, workerLeaseMs: 9_000, serverLeaseMs: 15_000, killMs: 2_000, watchdogMs: 2_000 };
    const slow = { heartbeatMs: 10_000, workerLeaseMs: 40_000, serverLeaseMs: 60_000 };

    for (const intervals of [quick, slow]) {
      const timing = LeaseTiming.parse(intervals);
      expect(simulate({ seed: 4, hours: 20, timing })).toMatchObject({ doubleRuns: 0, stuck: [] });
    }
  }, 300_000);

  it.each(MUTANTS)(
    "control-plane 2: the simulator notices the mutant: %s",
    (mutant) => {
      const { hours, by } = NOTICED[mutant];

      const outcome = simulate({ seed: 1, hours, mutant });

      if (by === "double runs") expect(outcome.doubleRuns).toBeGreaterThan(0);
      else if (by === "lost jobs") expect(outcome.lost).not.toEqual([]);
      else if (by === "overturned ends") expect(outcome.overturned).toBeGreaterThan(0);
      else expect(quantile(outcome.recoveriesMs, 0.5)).toBeGreaterThan(5 * 60_000);
    },
    300_000,
  );

  it("control-plane 7: after a machine vanishes its jobs run elsewhere within the server's lease, and no other job moves", () => {
    const outcome = simulate({ seed: 7, hours: 100, faults: "vanishing machines", faultRate: 5 });

    expect(outcome.vanishedRecoveriesMs.length).toBeGreaterThan(100);
    expect(quantile(outcome.vanishedRecoveriesMs, 0.5)).toBeLessThanOrEqual(DEFAULT_TIMING.serverLeaseMs);
    expect(quantile(outcome.vanishedRecoveriesMs, 0.99)).toBeLessThanOrEqual(DEFAULT_TIMING.serverLeaseMs + 5_000);
    expect(outcome.starts).toBeLessThanOrEqual(12 + outcome.vanished);
  }, 300_000);

  it("control-plane 3: the margin is exactly what lies between the last daemon's end and the jobs' move", () => {
    const tight = LeaseTiming.parse({ serverLeaseMs: Math.ceil(daemonsGoneAfterMs(DEFAULT_TIMING) / 0.98) });

    expect(simulate({ seed: 5, hours: 30, timing: tight }).doubleRuns).toBe(0);
  }, 300_000);
});
