import { spawnSync } from "node:child_process";
import { resolve } from "node:path";

const REPOSITORY = resolve(__dirname, "../..");

/** `npm test -- …`, without what it says of tools that this machine lacks. */
function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", "scripts/test.ts", ...args], {
    cwd: REPOSITORY,
    encoding: "utf8",
  });
  return { status, out: stdout.replace(/^skipping: .*\n/gm, ""), err: stderr };
}

test("what jest says where it runs no test is passed on, with its status", () => {
  expect(run("--help")).toMatchObject({ status: 0, out: expect.stringMatching(/^Usage: .*--config/), err: "" });
  expect(run("--listTests", "scripts/test-tiers")).toEqual({
    status: 0,
    out: `${REPOSITORY}/__tests__/scripts/test-tiers.test.ts\n`,
    err: "",
  });

  const { status, out, err } = run("--frob");
  expect([status, out]).toEqual([1, ""]);
  expect(err).toContain('Unrecognized option "frob"');
  expect(err).not.toContain("ENOENT");
});
