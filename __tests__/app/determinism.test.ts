import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { deploymentFiles } from "../../stacks/deployments";
import { contentsOf, useScratch } from "../support/scratch";

const REPOSITORY = resolve(__dirname, "..", "..");
const scratch = useScratch();

test("R2: two synths in different directories, time zones, languages and homes are byte-identical, and name no place", () => {
  const here = synthIn(REPOSITORY, join(scratch.path, "here"), {});
  mkdirSync(join(scratch.path, "elsewhere"));
  const there = synthIn(join(scratch.path, "elsewhere"), "out", {
    TZ: "Asia/Kathmandu",
    LANG: "tr_TR.UTF-8",
    HOME: scratch.path,
    USER: "someone",
  });

  expect(Object.keys(here).filter((name) => name.endsWith("cdk.tf.json")).length).toBeGreaterThanOrEqual(2);
  expect(there).toEqual(here);
  for (const text of Object.values(here)) {
    expect([REPOSITORY, scratch.path, homedir()].filter((path) => text.includes(`${path}/`))).toEqual([]);
  }
}, 300_000);

function synthIn(cwd: string, outdir: string, env: NodeJS.ProcessEnv): Record<string, string> {
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      ...["--import", require.resolve("tsx"), join(REPOSITORY, "main.ts")],
      ...["--output", outdir, ...deploymentFiles(join(REPOSITORY, "deployments"))],
    ],
    { cwd, encoding: "utf8", env: { ...process.env, ...env } },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return contentsOf(resolve(cwd, outdir));
}
