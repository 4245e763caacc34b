/**
 * `npm test`: every test this machine can run. `npm run test:node22`, which is `--node22`: the control plane's and the agents'
 * under Node.js 22, which instances install, without the tiers that no version of it changes.
 *
 * A test file that needs a tool says so in its name (`worker-fleet.terraform.test.ts`). A tier whose tools are missing is skipped
 * with one line that names them; with HOLDFAST_REQUIRE=all a missing tool is a failure. Other arguments go to jest.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { node22 } from "./node22";
import { missingCommands, TEST_TIERS } from "./test-tiers";

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

const ON_NODE_22 = "--node22";
const onNode22 = process.argv.includes(ON_NODE_22);
const node = onNode22 ? node22() : process.execPath;
const rooms = onNode22 ? ["agent", "control-plane"] : [];
const leftOut = TEST_TIERS.filter(({ anyNode }) => onNode22 && anyNode);

const required = process.env.HOLDFAST_REQUIRE === "all";
const skipped = TEST_TIERS.filter((tier) => !leftOut.includes(tier))
  .map((tier) => ({ tier, missing: missingCommands(tier) }))
  .filter(({ missing }) => missing.length > 0);

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
  node,
  [
    require.resolve("jest/bin/jest"),
    // Before the options: some of those take all that comes after them.
    ...process.argv.slice(2).filter((argument) => argument !== ON_NODE_22),
    "--json",
    `--outputFile=${report}`,
    // More than the processors: most of their time tests wait for programs they have started.
    `--maxWorkers=${availableParallelism() + 3}`,
    ...rooms.flatMap((room) => ["--roots", join("__tests__", room)]),
    ...[...leftOut, ...skipped.map(({ tier }) => tier)].flatMap(({ name }) => [
      "--testPathIgnorePatterns",
      `\\.${name}\\.test\\.ts$`,
    ]),
  ],
  {
    stdio: ["inherit", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: Number.POSITIVE_INFINITY,
    // Programs that tests start by the name `node` are this one too.
    env: { ...process.env, PATH: [...(onNode22 ? [dirname(node)] : []), process.env.PATH].join(delimiter) },
  },
);

try {
  tell(existsSync(report) ? JSON.parse(readFileSync(report, "utf8")) : jest.stdout);
} finally {
  rmSync(scratch, { recursive: true });
}
process.exitCode = jest.status ?? 1;

/** What jest has done. It writes no report where it runs no test, as with `--help`, and the names alone with `--listTests`. */
function tell(done: Report | readonly string[] | string): void {
  if (typeof done === "string") {
    process.stdout.write(done);
  } else if ("length" in done) {
    console.log(done.join("\n"));
  } else {
    const version = execFileSync(node, ["--version"], { encoding: "utf8" }).trim();
    const failed = done.numFailedTests + done.numRuntimeErrorTestSuites;
    console.log(`Node.js ${version}, ${Math.round((performance.now() - startedMs) / 1_000)} s:`);
    console.log(`${done.numPassedTests} passed, ${failed} failed, ${done.numPendingTests} skipped`);
  }
}
