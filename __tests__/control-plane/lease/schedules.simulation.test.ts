import { LeaseTiming } from "../../../control-plane/lease/timing";
import { simulate } from "./simulator/simulate";

/** Leases of seconds among faults that last from seconds to minutes, each kind a hundred times as frequent as usual. */
const HURRIED = {
  hours: 1 / 120,
  workers: 3,
  jobs: 3,
  faultRate: 100,
  timing: LeaseTiming.parse({
    heartbeatMs: 1_000,
    workerLeaseMs: 3_000,
    serverLeaseMs: 6_000,
    killMs: 600,
    watchdogMs: 1_500,
    grantMs: 2_000,
    sweepMs: 300,
    claimWaitMs: 10_000,
  }),
};

describe("the lease protocol over many short schedules", () => {
  it("control-plane 1: no double run, no job lost, no end overturned in 100,000 random schedules of lost, late, repeated and reordered messages", () => {
    let starts = 0;
    let ends = 0;
    for (let seed = 0; seed < 100_000; seed++) {
      const outcome = simulate({ ...HURRIED, seed });
      starts += outcome.starts;
      ends += outcome.ends;
      if (outcome.doubleRuns > 0) throw new Error(`a job ran twice in schedule ${seed}`);
      if (outcome.lost.length > 0) throw new Error(`${outcome.lost.join(", ")} was lost in schedule ${seed}`);
      if (outcome.overturned > 0) throw new Error(`a job that had ended did not stay so in schedule ${seed}`);
    }
    expect(starts).toBeGreaterThan(100_000);
    expect(ends).toBeGreaterThan(1_000);
  }, 600_000);

  it("control-plane 2: the same schedules notice a missing margin", () => {
    const noticed = Array.from({ length: 1_000 }, (_, seed) => simulate({ ...HURRIED, seed, mutant: "no margin" }));

    expect(noticed.filter(({ doubleRuns }) => doubleRuns > 0).length).toBeGreaterThan(10);
  }, 60_000);

  it("control-plane 2: the same schedules notice a control plane that forgets to requeue", () => {
    const noticed = Array.from({ length: 50 }, (_, seed) =>
      simulate({ ...HURRIED, seed, mutant: "forgotten requeue" }),
    );

    expect(noticed.filter(({ lost }) => lost.length > 0).length).toBeGreaterThan(10);
  }, 60_000);

  it("control-plane 2: longer schedules, in which more jobs end, notice a late report that overturns an end", () => {
    const longer = { ...HURRIED, hours: 1, faultRate: 30, mutant: "late report overturns" } as const;
    const noticed = Array.from({ length: 50 }, (_, seed) => simulate({ ...longer, seed }));

    expect(noticed.filter(({ overturned }) => overturned > 0).length).toBeGreaterThan(2);
  }, 60_000);
});
