import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

const EXAMPLES = join(__dirname, "../../examples");
const scripts = readdirSync(EXAMPLES, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".sh"));

test.each(scripts)("shellcheck has nothing to say about %s", (name) => {
  const { status, stdout } = spawnSync(
    "shellcheck",
    ["--shell=bash", "--enable=check-unassigned-uppercase", join(EXAMPLES, name)],
    {
      encoding: "utf8",
    },
  );

  expect(stdout).toBe("");
  expect(status).toBe(0);
});
