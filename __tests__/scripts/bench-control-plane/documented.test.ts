import { readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { controlPlaneProgram } from "../../../scripts/chaos/control-plane-program";

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

test("a copy that benches measure is started as the document says", () => {
  const { args, cwd } = controlPlaneProgram({ databaseUrl: "postgres://", keyring: "" });
  const main = relative(cwd, args.at(-1) ?? "");
  expect(main).toBe(join("control-plane", "main.ts"));
  expect(read("docs/control-plane.md")).toContain(`\`node ${[...args.slice(0, -1), main].join(" ")}\``);
});
