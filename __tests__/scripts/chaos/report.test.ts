import { type ChaosReport, reportText } from "../../../scripts/chaos/report";

const REPORT: ChaosReport = {
  seed: 7,
  size: { workers: 3, controlPlanes: 2, jobs: 2 },
  network: "a proxy",
  elapsedMs: 1_000,
  faults: [],
  transactions: 0,
  tables: [],
  fencing: { claims: 2, writes: 2, refusedAwakened: 0 },
  violations: ["job-1 runs nowhere"],
  interrupted: false,
};
const resultOf = (report: ChaosReport) => /^result: (.*)$/m.exec(reportText(report))?.[1];

it("counts what was broken", () => {
  expect(resultOf(REPORT)).toBe("1 BROKEN PROMISE");
  expect(resultOf({ ...REPORT, violations: ["job-1 runs nowhere", "job-2 too"] })).toBe("2 BROKEN PROMISES");
});

it("does not call a promise broken that there was no time to keep", () => {
  const text = reportText({ ...REPORT, interrupted: true });

  expect(text).toContain(
    "result: interrupted before it was known; what was not as promised by then:\n  - job-1 runs nowhere",
  );
});
