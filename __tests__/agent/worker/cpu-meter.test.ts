import { cpuMeter } from "../../../agent/worker/cpu-meter";

function meterAt(start: { usedMicros: number; nowMs: number }) {
  const clock = { ...start };
  const meter = cpuMeter({ usedMicros: () => clock.usedMicros, nowMs: () => clock.nowMs });
  return (later: Partial<typeof clock>) => {
    Object.assign(clock, later);
    return meter();
  };
}

test("a quarter of a second on a processor in one second is 250 millicores", () => {
  const read = meterAt({ usedMicros: 7_000_000, nowMs: 5_000 });

  expect(read({ usedMicros: 7_250_000, nowMs: 6_000 })).toBe(250);
});

test("each reading tells of the time since the one before, and two busy processors are 2,000", () => {
  const read = meterAt({ usedMicros: 0, nowMs: 0 });

  expect(read({ usedMicros: 120_000_000, nowMs: 60_000 })).toBe(2_000);
  expect(read({ nowMs: 120_000 })).toBe(0);
  expect(read({ usedMicros: 120_600_000, nowMs: 180_000 })).toBe(10);
});

test("no time passed is no figure that the control plane would refuse", () => {
  const read = meterAt({ usedMicros: 0, nowMs: 0 });

  expect(read({ usedMicros: 5_000 })).toBe(0);
});
