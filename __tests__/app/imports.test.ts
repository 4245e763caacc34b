import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";

import { useScratch } from "../support/scratch";

const scratch = useScratch();
const REPOSITORY = resolve(__dirname, "..", "..");
const ROOMS = ["main.ts", "stacks", "modules", "scripts", "__tests__"];

/** The only ways in which cdktf and its providers may be imported, so that renaming the packages is the whole move. */
const ALLOWED = [/^cdktf$/, /^cdktf\/lib\/testing\/adapters\/jest$/, /^@cdktf\/provider-[a-z]+\/lib\/[a-z0-9-]+$/];

function sources(): string[] {
  return ROOMS.flatMap((room) =>
    room.endsWith(".ts")
      ? [room]
      : readdirSync(join(REPOSITORY, room), { recursive: true, encoding: "utf8" })
          .filter((name) => name.endsWith(".ts"))
          .map((name) => join(room, name)),
  );
}

test("cdktf and its providers are imported in the ways that a search and replace can move", () => {
  const imports = sources().flatMap((file) =>
    [
      ...readFileSync(join(REPOSITORY, file), "utf8").matchAll(/^(?:import|export|\}).*"((?:@cdktf|cdktf)[^"]*)"/gm),
    ].map(([, module = ""]) => ({ file, module })),
  );

  expect(imports.length).toBeGreaterThan(10);
  expect(imports.filter(({ module }) => !ALLOWED.some((pattern) => pattern.test(module)))).toEqual([]);
});

test("no class of cdktf is asked for with instanceof, which two copies of the package answer differently", () => {
  const classes = sources().flatMap((file) => {
    const text = readFileSync(join(REPOSITORY, file), "utf8");
    const lists = [...text.matchAll(/import \{([^}]*)\} from "(?:@cdktf|cdktf)/g)];
    const imported = lists
      .flatMap(([, names = ""]) => names.split(","))
      .map((name) => name.replace(/\btype\b/, "").trim());
    return imported
      .filter((name) => name !== "" && new RegExp(`instanceof ${name}\\b`).test(text))
      .map((name) => `${file}: instanceof ${name}`);
  });

  expect(classes).toEqual([]);
});

const VIOLATIONS = [
  ["modules", 'import "../stacks/other";', "modules-imports"],
  ["stacks", 'import "../scripts/other";', "stacks-imports"],
  ["scripts", 'import "../stacks/other";', "scripts-imports"],
  ["scripts", 'import "../control-plane/other";', "control-plane-only-up"],
  ["agent", 'import "../modules/other";', "agent-imports"],
  ["control-plane", 'import "../agent/other";', "control-plane-imports"],
  ["stacks", 'import "@cdktf/provider-aws";', "no-provider-root"],
  ["stacks", 'import "left-pad";', "resolvable"],
] as const;
const VIOLATING_ROOMS = [...new Set(VIOLATIONS.map(([room]) => room))];

test("an import against the table of rooms fails the check by the name of its rule", () => {
  // GIVEN a tree with the rooms and rules of this one, and a file for each violation
  for (const name of [".dependency-cruiser.cjs", "tsconfig.json", "package.json", "node_modules"]) {
    symlinkSync(join(REPOSITORY, name), join(scratch.path, name));
  }
  for (const room of VIOLATING_ROOMS) {
    scratch.write(`${room}/other.ts`, "export {};\n");
  }
  for (const [room, statement, rule] of VIOLATIONS) {
    scratch.write(`${room}/breaks-${rule}.ts`, `${statement}\n`);
  }

  // WHEN
  const { status, stdout } = spawnSync(
    join(REPOSITORY, "node_modules", ".bin", "depcruise"),
    ["--config", ".dependency-cruiser.cjs", ...VIOLATING_ROOMS],
    { cwd: scratch.path, encoding: "utf8" },
  );

  // THEN
  const broken = [...stdout.matchAll(/error (\S+): (\S+)/g)].map(([, rule, file]) => `${file} ${rule}`);
  expect(broken.sort()).toEqual(VIOLATIONS.map(([room, , rule]) => `${room}/breaks-${rule}.ts ${rule}`).sort());
  expect(status).toBe(VIOLATIONS.length);
}, 300_000);
