import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeModule } from "../../../modules/publish/write-module";
import { LOG_GROUP_MODULE } from "../../fixtures/log-group-module";
import { contentsOf, useScratch } from "../../support/scratch";

const scratch = useScratch();

test("a module directory holds the standard structure and no comment keys", () => {
  // WHEN
  const files = writeModule(LOG_GROUP_MODULE, join(scratch.path, "out"));

  // THEN
  const written = contentsOf(join(scratch.path, "out"));
  expect(files).toEqual([
    "LICENSE",
    "README.md",
    "examples/two-groups/main.tf",
    "main.tf.json",
    "modules/group/README.md",
    "modules/group/main.tf.json",
    "modules/group/outputs.tf.json",
    "modules/group/variables.tf.json",
    "modules/group/versions.tf.json",
    "outputs.tf.json",
    "policy.json",
    "variables.tf.json",
    "versions.tf.json",
  ]);
  expect(Object.keys(written).sort()).toEqual(files);
  for (const [name, text] of Object.entries(written).filter(([name]) => name.endsWith(".tf.json"))) {
    expect({ name, comments: text.includes('"//"') }).toEqual({ name, comments: false });
  }
  expect(Object.keys(JSON.parse(written["main.tf.json"] ?? ""))).toEqual(["module"]);
});

test("two writings are byte-identical", () => {
  writeModule(LOG_GROUP_MODULE, join(scratch.path, "one"));
  writeModule(LOG_GROUP_MODULE, join(scratch.path, "two"));

  expect(contentsOf(join(scratch.path, "one"))).toEqual(contentsOf(join(scratch.path, "two")));
});

test("an earlier writing is replaced, and git's directory stays", () => {
  const out = join(scratch.path, "out");
  writeModule(LOG_GROUP_MODULE, out);
  mkdirSync(join(out, ".git"));
  writeFileSync(join(out, ".git", "HEAD"), "ref");
  writeFileSync(join(out, "stale.tf.json"), "{}");

  const files = writeModule(LOG_GROUP_MODULE, out);

  expect(Object.keys(contentsOf(out)).sort()).toEqual([".git/HEAD", ...files].sort());
});

test("a directory that holds something else is refused and left alone", () => {
  writeFileSync(join(scratch.path, "thesis.txt"), "years of work");

  expect(() => writeModule(LOG_GROUP_MODULE, scratch.path)).toThrow(
    `${scratch.path} holds thesis.txt, which is no published module; choose an empty directory`,
  );
  expect(contentsOf(scratch.path)).toEqual({ "thesis.txt": "years of work" });
});

test("a missing asset is named, and nothing is written", () => {
  const module = { ...LOG_GROUP_MODULE, assets: [{ from: "dist/never-built.mjs", to: "agent.mjs" }] };

  expect(() => writeModule(module, join(scratch.path, "out"))).toThrow(
    /log-group carries agent.mjs, but .*never-built.mjs does not exist; run: npm run bundle/,
  );
  expect(readdirSync(scratch.path)).toEqual([]);
});

test("an executable asset keeps its bit and others have none", () => {
  const asset = LOG_GROUP_MODULE.assets?.[0]?.from ?? "";
  const assets = [
    { from: asset, to: "run.sh", executable: true },
    { from: asset, to: "data.json" },
  ];

  writeModule({ ...LOG_GROUP_MODULE, assets }, join(scratch.path, "out"));

  expect(statSync(join(scratch.path, "out", "run.sh")).mode & 0o777).toBe(0o755);
  expect(statSync(join(scratch.path, "out", "data.json")).mode & 0o777).toBe(0o644);
});

test("the README shows usage, inputs, outputs and requirements", () => {
  writeModule(LOG_GROUP_MODULE, scratch.path);

  const readme = readFileSync(join(scratch.path, "README.md"), "utf8");
  expect(readme).toContain("# log-group\n\nLog groups, one");
  expect(readme).toContain("```hcl\nterraform {");
  expect(readme).toContain(
    "| `groups` | Log groups by name. | `map(object({ days = optional(number, 30) }))` | required |",
  );
  expect(readme).toContain("| `prefix` | Begins every name. | `string` | `null` |");
  expect(readme).toContain("| `arns` | ARN of each group by its name. |");
  expect(readme).toContain("| `hashicorp/aws` | `>= 5.100.0, < 7.0.0` |");
});
