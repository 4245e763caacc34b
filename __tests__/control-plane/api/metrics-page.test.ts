import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Pool } from "pg";
import { Telemetry } from "../../../control-plane/api/telemetry";

const PAGE = readFileSync(join(__dirname, "../../../docs/control-plane.md"), "utf8");

test("the page tells of every metric of a copy, with its labels", () => {
  const { registry } = new Telemetry({} as Pool, () => 0);
  const metrics = registry.getMetricsAsArray() as unknown as { name: string; labelNames: string[] }[];
  const rows = Array.from(PAGE.matchAll(/^\| `(holdfast_\w+)` +\|([^|]*)\|/gm), ([, name = "", labels = ""]) => ({
    name,
    labels: labels.match(/(?<=`)\w+(?=`)/g) ?? [],
  }));

  const byName = (one: { name: string }, other: { name: string }) => one.name.localeCompare(other.name);
  expect(rows.sort(byName)).toEqual(metrics.map(({ name, labelNames: labels }) => ({ name, labels })).sort(byName));
});
