import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { resolve } from "node:path";

const COMMAND_LINE = JSON.stringify(resolve("scripts/command-line"));

/** A program whose command does this, with `parse` around it. */
function program(command: string, stdio: readonly ["ignore" | "pipe", number | "pipe", number | "pipe"]): ChildProcess {
  const source = `
    const { Command } = require("commander");
    const { parse, examples } = require(${COMMAND_LINE});
    parse(new Command("shop").addHelpText("after", examples("shop")).action(async () => { ${command} }));`;
  return spawn(process.execPath, ["--import", "tsx", "-e", source], { stdio: [...stdio] });
}

async function outcome(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  const told = { out: "", err: "" };
  child.stdout?.on("data", (text) => (told.out += text));
  child.stderr?.on("data", (text) => (told.err += text));
  const code = await new Promise<number | null>((done) => child.once("close", done));
  return { code, ...told };
}

const full = (): number => openSync("/dev/full", "w");
const it = existsSync("/dev/full") ? test : test.skip;

it("an answer that cannot be written is told in a line, and is a failure", async () => {
  const { code, err } = await outcome(program(`process.stdout.write("answer\\n")`, ["ignore", full(), "pipe"]));

  expect([code, err]).toEqual([1, "error: cannot write to standard output: ENOSPC: no space left on device\n"]);
});

it("work whose output can no longer be written is asked to end in order, and has failed whatever it says then", async () => {
  const work = `
    process.once("SIGTERM", () => process.stderr.write("ended in order\\n"));
    process.stdout.write("a line\\n");
    process.stdout.write("another\\n");`;

  const { code, err } = await outcome(program(work, ["ignore", full(), "pipe"]));

  expect(err).toBe("error: cannot write to standard output: ENOSPC: no space left on device\nended in order\n");
  expect(code).toBe(1);
});

it("what is said beside an answer may be lost, the answer and the work are not", async () => {
  const work = `
    process.stderr.write("beside\\n");
    await new Promise((resolve) => setTimeout(resolve, 10));
    process.stdout.write("answer\\n");`;

  const { code, out } = await outcome(program(work, ["ignore", "pipe", full()]));

  expect([code, out]).toEqual([0, "answer\n"]);
});

test("nobody has to read what is said beside an answer", async () => {
  const child = program(
    `for await (const _ of process.stdin);
     process.stderr.write("beside\\n");
     await new Promise((resolve) => setTimeout(resolve, 10));
     process.stdout.write("answer\\n");`,
    ["pipe", "pipe", "pipe"],
  );
  child.stderr?.once("close", () => child.stdin?.end()).destroy();

  expect(await outcome(child)).toMatchObject({ code: 0, out: "answer\n" });
});

test("a program whose reader has gone ends without a word", async () => {
  const child = program(
    `for (;;) {
       process.stdout.write("answer\\n");
       await new Promise((resolve) => setTimeout(resolve, 10));
     }`,
    ["ignore", "pipe", "pipe"],
  );
  child.stdout?.destroy();

  expect(await outcome(child)).toMatchObject({ code: 141, err: "" });
});
