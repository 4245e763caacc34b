import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inputSchema, isMap, type JsonSchema } from "../../modules/publish/json-schema";
import { fleetKeys } from "../../modules/worker-fleet/fleet-keys";
import { poolKeys } from "../../modules/worker-fleet/pool-keys";

const PAGE = readFileSync(join(__dirname, "../../docs/worker-fleet.md"), "utf8");

/** Rows of the page's section with this heading. */
function rowsOf(heading: string): string[] {
  const [, section = ""] = PAGE.split(`\n## ${heading}\n`);
  return (section.split("\n## ")[0] ?? "").split("\n").filter((line) => line.startsWith("| `"));
}

test("the page tells every key of a pool, in the words of the schema", () => {
  expect(rowsOf("Keys of a pool")).toEqual(
    Object.entries(inputSchema(poolKeys).properties ?? {}).map(
      ([key, { description }]) => `| \`${key}\` | ${description} |`,
    ),
  );
});

test("the page tells every key of a fleet, and those inside, in the words of the schema", () => {
  expect(rowsOf("Keys of a fleet")).toEqual(fleetRows(inputSchema(fleetKeys), ""));
});

/** A pool's own keys have a section of their own. */
function fleetRows({ properties = {}, required = [] }: JsonSchema, path: string): string[] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const key = `${path}${name}`;
    const row = `| \`${key}\` | ${schema.description} | ${required.includes(name) ? "required" : defaultOf(schema)} |`;
    return [row, ...(key === "pools" ? [] : inside(schema, key))];
  });
}

function inside(schema: JsonSchema, key: string): string[] {
  if (schema.items) return fleetRows(schema.items, `${key}[].`);
  return isMap(schema) ? fleetRows(schema.additionalProperties, `${key}.NAME.`) : fleetRows(schema, `${key}.`);
}

/** Blank where the description says what happens instead, or where the keys inside have their own. */
function defaultOf({ type, default: value }: JsonSchema): string {
  if (value === undefined || type === "object") return "";
  if (Array.isArray(value) && value.length === 0) return "none";
  return `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}
