import { inTurns } from "../../scripts/test-tiers";

const pathsInTurns = (...paths: string[]) => inTurns(paths.map((path) => ({ path }))).map(({ path }) => path);

test("test files start in turns, one of each tier, each tier's in the order given, and those of no tier last", () => {
  expect(
    pathsInTurns(
      "schema.test.ts",
      "roll.terraform.test.ts",
      "names.test.ts",
      "apply.terraform.test.ts",
      "boot.loop.test.ts",
      "publish.terraform.test.ts",
      "claim.postgres.test.ts",
      "kill.loop.test.ts",
    ),
  ).toEqual([
    "boot.loop.test.ts",
    "roll.terraform.test.ts",
    "claim.postgres.test.ts",
    "kill.loop.test.ts",
    "apply.terraform.test.ts",
    "publish.terraform.test.ts",
    "schema.test.ts",
    "names.test.ts",
  ]);
});

test("every test file stands in the order once, whatever its tier", () => {
  expect(pathsInTurns()).toEqual([]);
  expect(pathsInTurns("one.test.ts", "other.unknown.test.ts")).toEqual(["one.test.ts", "other.unknown.test.ts"]);
});
