import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hclLiteral } from "../../../modules/publish/expressions";
import { moduleFiles } from "../../../modules/publish/module-files";
import { WORKER_FLEET_MODULE } from "../../../modules/worker-fleet/published-module";
import table from "../../../modules/worker-fleet/slot-table.json";
import { slotsOfType, workerSlots } from "../../../modules/worker-fleet/worker-slots";

const PAGE = readFileSync(join(__dirname, "../../../docs/worker-fleet.md"), "utf8");

test.each([
  ["t3.medium", 3],
  ["t3.large", 5],
  ["c6i.large", 5],
  ["c6i.xlarge", 10],
])("a %s has %d slots", (type, slots) => {
  expect(slotsOfType(type)).toBe(slots);
});

test("a type of another family counts by its size", () => {
  expect(["c7g.large", "m7i-flex.large", "r8g.xlarge"].map(slotsOfType)).toEqual([5, 5, 10]);
});

test("nothing is guessed of a size that the table does not have", () => {
  const others = ["t3.micro", "c7g.medium", "c6i.2xlarge", "c6i.metal", "c6i.constructor", "mac2.metal"];
  expect(others.map(slotsOfType)).toEqual(others.map(() => undefined));
});

test("a pool of several types has the slots of the smallest, in whatever order they stand", () => {
  expect(workerSlots({ slots: undefined, instance_types: ["c6i.xlarge", "t3.medium", "m7g.large"] })).toBe(3);
  expect(workerSlots({ slots: undefined, instance_types: ["m7g.xlarge", "c6i.xlarge"] })).toBe(10);
});

test("what a pool says goes before the table, also for a type that it does not have", () => {
  expect(workerSlots({ slots: 2, instance_types: ["c6i.xlarge"] })).toBe(2);
  expect(workerSlots({ slots: 40, instance_types: ["c6i.2xlarge", "t3.medium"] })).toBe(40);
});

test("without a number and without a row the type is named", () => {
  expect(() => workerSlots({ slots: undefined, instance_types: ["c6i.large", "c6i.2xlarge"] })).toThrow(
    "slots is needed: there is no default for c6i.2xlarge; give the number of jobs that one worker runs at a time",
  );
});

test("the page shows the table", () => {
  const shown = PAGE.split("\n").flatMap((line) => {
    const row = /^\| (.+?) \| (\d+) \|$/.exec(line);
    return row === null ? [] : [[row[1], Number(row[2])]];
  });

  expect(shown).toEqual([
    ...Object.entries(table.types),
    ...Object.entries(table.sizes).map(([size, slots]) => [`any other \`${size}\``, slots]),
  ]);
});

describe("the published module", () => {
  const files = moduleFiles(WORKER_FLEET_MODULE);
  const json = (name: string) => JSON.parse(files.get(name) ?? "{}");

  test("looks the slots up in the same table, unless the caller gives them", () => {
    const { locals, resource } = json("modules/worker-pool/main.tf.json");

    expect(locals.slots).toBe(
      "${coalesce(var.pool.slots, min([for type in var.pool.instance_types : " +
        `lookup(${hclLiteral(table.types)}, type, lookup(${hclLiteral(table.sizes)}, element(split(".", type), 1), 0))]...))}`,
    );
    expect(json("variables.tf.json").variable.pools.type).toMatch(/\bslots = optional\(number\)/);
    expect(JSON.stringify(locals)).toContain("local.slots");
    expect(JSON.stringify(resource)).toContain("local.slots");
    expect(JSON.stringify(resource)).not.toContain("var.pool.slots");
  });

  test("refuses a type without a default, unless the caller gives the slots", () => {
    const { validation } = json("variables.tf.json").variable.pools;

    expect(validation).toContainEqual({
      condition: expect.stringMatching(
        / : pool\.slots != null \|\| alltrue\(\[for type in pool\.instance_types : lookup.* > 0\]\)\]\)\}$/,
      ),
      error_message: expect.stringContaining("must give slots"),
    });
  });
});
