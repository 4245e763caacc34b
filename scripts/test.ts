/**
 * `npm test`: every test this machine can run.
 *
 * A test file that needs a tool says so in its name (`apply.terraform.test.ts`). A tier whose tools are missing is skipped
 * with one line that names them; with HOLDFAST_REQUIRE=all a missing tool is a failure. Arguments go to jest.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { missingCommands, TEST_TIERS } from "./test-tiers";

const required = process.env.HOLDFAST_REQUIRE === "all";
const skipped = TEST_TIERS.map((tier) => ({ tier, missing: missingCommands(tier) })).filter(
  ({ missing }) => missing.length > 0,
);

for (const { tier, missing } of skipped) {
  console.log(
    `${required ? "missing" : "skipping"}: *.${tier.name}.test.ts (${tier.proves}) needs ${missing.join(", ")}`,
  );
}
if (required && skipped.length > 0) {
  console.error("HOLDFAST_REQUIRE=all: install what is missing, or unset it to skip these tests");
  process.exit(1);
}

const scratch = mkdtempSync(join(tmpdir(), "holdfast-test-"));
const report = join(scratch, "report.json");
const startedMs = performance.now();
const jest = spawnSync(
  process.execPath,
  [
    require.resolve("jest/bin/jest"),
    "--json",
    `--outputFile=${report}`,
    // More than the processors: half of their time tests wait for programs they have started.
    `--maxWorkers=${availableParallelism() + 2}`,
    ...skipped.flatMap(({ tier }) => ["--testPathIgnorePatterns", `\\.${tier.name}\\.test\\.ts$`]),
    ...process.argv.slice(2),
  ],
  { stdio: ["inherit", "ignore", "inherit"] },
);

try {
  const { numPassedTests, numFailedTests, numPendingTests, numRuntimeErrorTestSuites } = JSON.parse(
    readFileSync(report, "utf8"),
  );
  console.log(`took ${Math.round((performance.now() - startedMs) / 1_000)} s`);
  console.log(
    `${numPassedTests} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed, ${numPendingTests} skipped`,
  );
} finally {
  rmSync(scratch, { recursive: true });
}
process.exit(jest.status ?? 1);
