import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import { readDeployments } from "../../stacks/deployments";
import { KINDS } from "../../stacks/kinds";
import { synthesize } from "../../stacks/synthesize";
import { useScratch } from "../support/scratch";

interface Invalid {
  readonly what: string;
  readonly replace: string;
  readonly with: string;
  readonly problems: readonly string[];
}

const REPOSITORY = resolve(__dirname, "..", "..");
const fixture = (name: string) => readFileSync(join(__dirname, "..", "fixtures", name), "utf8");
const VALID = fixture("worker-fleet.yaml");
const INVALID: readonly Invalid[] = parse(fixture("invalid-deployments.yaml"));

const scratch = useScratch();

test("the document that the others are made from is valid", () => {
  const stacks = synthesize(readDeployments([scratch.write("valid.yaml", VALID)], KINDS), join(scratch.path, "out"));

  expect(stacks.map(({ name }) => name)).toEqual(["orders"]);
});

test("there are at least 40 ways to be wrong", () => {
  expect(new Set(INVALID.map(({ what }) => what)).size).toBeGreaterThanOrEqual(40);
});

test.each(INVALID.map((invalid) => [invalid.what, invalid] as const))(
  "refuses %s, and writes nothing",
  (_what, invalid) => {
    const file = scratch.write("wrong.yaml", changed(invalid));
    const outdir = join(scratch.path, "out");

    const refused = () => synthesize(readDeployments([file], KINDS), outdir);

    expect(refused).toThrow(new Error(invalid.problems.map((problem) => `${file}:${problem}`).join("\n")));
    expect(existsSync(outdir)).toBe(false);
  },
);

test("npm run synth reports the problems of all files at once, writes nothing and fails", () => {
  // GIVEN a document of each sort, and one that is right
  const read = INVALID.filter(({ problems }) => !problems.some((problem) => problem.includes(": orders: ")));
  const files = read.map((invalid, i) => scratch.write(`${i}.yaml`, changed(invalid)));
  const valid = scratch.write("valid.yaml", VALID.replace("name: orders", "name: valid"));
  const outdir = join(scratch.path, "out");

  // WHEN
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", "main.ts", "--output", outdir, valid, ...files],
    { cwd: REPOSITORY, encoding: "utf8" },
  );

  // THEN
  const expected = read.flatMap(({ problems }, i) => problems.map((problem) => `${files[i]}:${problem}`));
  expect(stderr.trimEnd().split("\n")).toEqual([...expected, `${expected.length} problems; nothing was written`]);
  expect(stdout).toBe("");
  expect(status).toBe(1);
  expect(existsSync(outdir)).toBe(false);
}, 300_000);

/** The valid document with one change, which must apply to one place. */
function changed({ replace, with: text }: Invalid): string {
  const [before, after, ...more] = VALID.split(replace);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`worker-fleet.yaml should hold ${JSON.stringify(replace)} once`);
  }
  return `${before}${text}${after}`;
}
