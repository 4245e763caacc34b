import { PoolScaling } from "../../../modules/pool-scaling/pool-scaling";
import { READINGS } from "../../support/cloudwatch/alarm";
import { RECORDED_POOL } from "../../support/cloudwatch/recorded-pool";
import { type SimulatedMinute, simulate } from "../../support/cloudwatch/simulated-pool";
import { SynthesizedSignals } from "../../support/cloudwatch/synthesized-signals";

const signals = SynthesizedSignals.of((scope) => {
  new PoolScaling(scope, "scaling", {
    ...RECORDED_POOL,
    jobsPerInstance: 40,
    backlog: { kind: "control-plane" },
  });
});

/** The desired capacity each time it changes. */
const changes = (minutes: readonly SimulatedMinute[]) =>
  minutes.map(({ desired }) => desired).filter((desired, index, all) => desired !== all[index - 1]);

describe.each(READINGS)("a pool at zero, in CloudWatch as %o", (reading) => {
  const pool = { signals, reading, maxSize: 20, slots: 40, bootMinutes: 3, drainMinutes: 7 };

  test("starts what a burst of 200 jobs needs, no more, and every job runs within a quarter of an hour", () => {
    const minutes = simulate({ ...pool, minutes: 120, jobs: (minute) => (minute < 10 ? 0 : 200) });

    expect(Math.max(...minutes.map(({ desired }) => desired))).toBe(5);
    expect(minutes.slice(25).every(({ waiting }) => waiting === 0)).toBe(true);
    expect(minutes.at(-1)).toEqual({ desired: 5, inService: 5, waiting: 0 });
  });

  test("keeps an instance for its idle streaming jobs, and lets the last go when they have ended", () => {
    const minutes = simulate({ ...pool, minutes: 360, jobs: (minute) => (minute < 240 ? 40 : 0) });

    expect(changes(minutes)).toEqual([1, 0]);
    expect(minutes.slice(10, 240).every(({ desired }) => desired === 1)).toBe(true);
  });

  test("shrinks one instance at a time as jobs end, handing their jobs on within a minute and without growing again", () => {
    const minutes = simulate({ ...pool, minutes: 400, jobs: (minute) => (minute < 60 ? 200 : 60) });

    expect(changes(minutes.slice(60))).toEqual([5, 4, 3, 2]);
    const waits = minutes.map(({ waiting }) => waiting > 0);
    expect(waits.slice(80).some((now, index, all) => now && all[index + 1])).toBe(false);
  });
});
