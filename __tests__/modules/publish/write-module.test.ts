import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeModule } from "../../../modules/publish/write-module";
import { BUCKET_MODULE } from "../../fixtures/bucket-module";
import { contentsOf, useScratch } from "../../support/scratch";

const scratch = useScratch();

test("a module directory holds the standard structure and no comment keys", () => {
  // WHEN
  const files = writeModule(BUCKET_MODULE, join(scratch.path, "out"));

  // THEN
  const written = contentsOf(join(scratch.path, "out"));
  expect(files).toEqual([
    "LICENSE",
    "README.md",
    "examples/two-buckets/main.tf",
    "main.tf.json",
    "modules/bucket/README.md",
    "modules/bucket/main.tf.json",
    "modules/bucket/outputs.tf.json",
    "modules/bucket/variables.tf.json",
    "modules/bucket/versions.tf.json",
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
  writeModule(BUCKET_MODULE, join(scratch.path, "one"));
  writeModule(BUCKET_MODULE, join(scratch.path, "two"));

  expect(contentsOf(join(scratch.path, "one"))).toEqual(contentsOf(join(scratch.path, "two")));
});

test("an earlier writing is replaced, and git's directory stays", () => {
  const out = join(scratch.path, "out");
  writeModule(BUCKET_MODULE, out);
  mkdirSync(join(out, ".git"));
  writeFileSync(join(out, ".git", "HEAD"), "ref");
  writeFileSync(join(out, "stale.tf.json"), "{}");

  const files = writeModule(BUCKET_MODULE, out);

  expect(Object.keys(contentsOf(out)).sort()).toEqual([".git/HEAD", ...files].sort());
});

test("a directory that holds something else is refused and left alone", () => {
  writeFileSync(join(scratch.path, "thesis.txt"), "years of work");

  expect(() => writeModule(BUCKET_MODULE, scratch.path)).toThrow(
    `${scratch.path} holds thesis.txt, which is no published module; choose an empty directory`,
  );
  expect(contentsOf(scratch.path)).toEqual({ "thesis.txt": "years of work" });
});

test("a missing asset is named, and nothing is written", () => {
  const module = { ...BUCKET_MODULE, assets: [{ from: "dist/never-built.mjs", to: "agent.mjs" }] };

  expect(() => writeModule(module, join(scratch.path, "out"))).toThrow(
    /bucket carries agent.mjs, but .*never-built.mjs does not exist; run: npm run bundle/,
  );
  expect(readdirSync(scratch.path)).toEqual([]);
});

test("an executable asset keeps its bit and others have none", () => {
  const asset = BUCKET_MODULE.assets?.[0]?.from ?? "";
  const assets = [
    { from: asset, to: "run.sh", executable: true },
    { from: asset, to: "data.json" },
  ];

  writeModule({ ...BUCKET_MODULE, assets }, join(scratch.path, "out"));

  expect(statSync(join(scratch.path, "out", "run.sh")).mode & 0o777).toBe(0o755);
  expect(statSync(join(scratch.path, "out", "data.json")).mode & 0o777).toBe(0o644);
});

test("the README shows usage, inputs, outputs and requirements", () => {
  writeModule(BUCKET_MODULE, scratch.path);

  const readme = readFileSync(join(scratch.path, "README.md"), "utf8");
  expect(readme).toContain("# bucket\n\nPrivate buckets");
  expect(readme).toContain("```hcl\nterraform {");
  expect(readme).toContain(
    "| `buckets` | Buckets by name. | `map(object({ days = optional(number, 30) }))` | required |",
  );
  expect(readme).toContain("| `prefix` | Begins every name. | `string` | `null` |");
  expect(readme).toContain("| `arns` | ARN of each bucket by its name. |");
  expect(readme).toContain("| `hashicorp/aws` | `>= 5.100.0, < 7.0.0` |");
});
