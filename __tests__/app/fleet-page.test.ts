import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inputSchema } from "../../modules/publish/json-schema";
import { poolKeys } from "../../modules/worker-fleet/pool-keys";

const PAGE = readFileSync(join(__dirname, "../../docs/worker-fleet.md"), "utf8");

test("the page tells every key of a pool, in the words of the schema", () => {
  const rows = PAGE.split("\n").filter((line) => line.startsWith("| `"));

  expect(rows).toEqual(
    Object.entries(inputSchema(poolKeys).properties ?? {}).map(
      ([key, { description }]) => `| \`${key}\` | ${description} |`,
    ),
  );
});
