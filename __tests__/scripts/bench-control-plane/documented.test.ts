import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const read = (path: string) => readFileSync(resolve(__dirname, "../../..", path), "utf8");

test("the control plane's document says of each of its benches what it measures and what is wanted", () => {
  const benches = [...read("scripts/bench.ts").matchAll(/from "\.\/bench-control-plane\/([\w-]+)"/g)].map(
    ([, name]) => name,
  );
  const [, costs = ""] = /\n## What it costs\n(.*?)\n## /s.exec(read("docs/control-plane.md")) ?? [];
  const rows = [...costs.matchAll(/^\| `([\w-]+)` +\|[^|]+\|[^|]+\|$/gm)].map(([, name]) => name);
  expect(benches).toContain("parked-polls");
  expect(rows).toEqual(expect.arrayContaining(benches));
});
