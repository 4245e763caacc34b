import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runChaos } from "../../../scripts/chaos/run";

/** Trips on a hang alone: every wait inside has a deadline of its own that is shorter. */
jest.setTimeout(1_500_000);

const SEED = 10_287;
const FAULTS = 8;

test(`a fleet that is hurt ${FAULTS} times keeps its promises (seed ${SEED})`, async () => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-chaos-"));
  chmodSync(directory, 0o711);
  const lines: string[] = [];
  // WHEN agents, daemons, copies of the control plane and backends are killed, machines freeze, and roads are cut
  const report = await runChaos({
    seed: SEED,
    size: { workers: 3, controlPlanes: 2, jobs: 4 },
    end: { afterFaults: FAULTS },
    directory,
    say: (line) => lines.push(line),
    interrupted: new AbortController().signal,
  });
  // THEN every sink equals its source, no job ran twice, every job is accounted for
  if (report.violations.length > 0) {
    throw new Error(
      [`npm run chaos -- --seed ${SEED}; logs in ${directory}`, ...report.violations, ...lines].join("\n"),
    );
  }
  expect(report.faults).toHaveLength(FAULTS);
  expect(report.tables.every(({ sourceRows, sinkRows }) => sourceRows === sinkRows && sourceRows > 0)).toBe(true);
  rmSync(directory, { recursive: true });
});
