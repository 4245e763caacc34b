import { execFile, spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { scripts, version } from "../../package.json";
import { useScratch } from "../support/scratch";

const REPOSITORY = resolve(__dirname, "../..");
const scratch = useScratch();

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** What a program says to a command line, without npm and what npm does first. */
function run(program: string, ...args: string[]): Promise<Ended> {
  return new Promise((done) => {
    const command = ["--import", "tsx", program, ...args];
    execFile(process.execPath, command, { cwd: REPOSITORY }, (error, out, err) => {
      done({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

/** The command that starts it, and its program. */
const PROGRAMS = [
  ...["synth", "bundle", "publish-module", "copy-store", "migrate", "record-roll", "screenshot", "chaos"],
  ...["bench", "bench:rolling", "bench:etcd-roll"],
]
  .map((script) => [`npm run ${script} --`, scripts[script as keyof typeof scripts].split(" ").at(-1) ?? ""])
  .concat([
    ["npm start --", "scripts/start.ts"],
    ["holdfast", "scripts/holdfast.ts"],
    ["node --import tsx control-plane/main.ts", "control-plane/main.ts"],
    ["node holdfast-roll.mjs", "scripts/rolling-update/main.ts"],
  ]);

test.each(PROGRAMS)(
  "%s refuses what it does not know, and says where it stands what it does",
  async (name, program) => {
    const { code, out, err } = await run(program, "--frob");

    expect([code, out]).toEqual([64, ""]);
    expect(err).toMatch(/^error: (unknown option '--frob'|required option)/);
    expect(err).toContain(`\n  next: ${name} --help\n`);
  },
);

test("what a program says of itself ends with examples", async () => {
  const { code, out, err } = await run("scripts/record-roll.ts", "--help");

  expect([code, err]).toEqual([0, ""]);
  expect(out).toMatch(/^Usage: npm run record-roll -- \[options\]\n[\s\S]*\nExamples:\n {2}\$ npm run record-roll\n$/);
});

test("a mistake in a command below another names that command, and one in a value does, too", async () => {
  const [missing, mistaken] = await Promise.all([
    run("scripts/holdfast.ts", "job", "create"),
    run("scripts/chaos/main.ts", "--minutes", "x"),
  ]);

  expect(missing).toMatchObject({ code: 64, err: expect.stringContaining("  next: holdfast job create --help\n") });
  expect(mistaken).toMatchObject({ code: 64, err: expect.stringContaining("  next: npm run chaos -- --help\n") });
});

test("holdfast says its version", async () => {
  expect(await run("scripts/holdfast.ts", "--version")).toEqual({ code: 0, out: `${version}\n`, err: "" });
});

test("a program whose reader has gone ends without a word", () => {
  // The only reader closes its end before the program begins.
  const shell = `mkfifo gone && { : < gone; "$0" --import "$1" "$2" --help; echo $? > code; } | { exec 0<&-; : > gone; }; cat code`;
  const tsx = require.resolve("tsx");
  const program = join(REPOSITORY, "scripts/holdfast.ts");

  const { stdout, stderr } = spawnSync("sh", ["-c", shell, process.execPath, tsx, program], {
    cwd: scratch.path,
    encoding: "utf8",
  });

  expect([stdout, stderr]).toEqual(["141\n", ""]);
});
