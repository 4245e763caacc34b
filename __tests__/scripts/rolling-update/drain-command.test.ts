import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { drainCommand } from "../../../scripts/rolling-update/drain-command";
import { commandCheck } from "../../../scripts/rolling-update/probes/node-checks";
import { runProgram } from "../../../scripts/rolling-update/run-program";
import { eventually } from "../../support/eventually";
import { isAlive } from "../../support/is-alive";
import { nodesAt, PATIENCE_MS } from "../../support/running-cluster";
import { useScratch } from "../../support/scratch";

const scratch = useScratch();
const target = { nodeId: "00", instanceId: "i-1", ip: "127.0.0.1", group: "orders-00" };
const MODULE = JSON.stringify(resolve("scripts/rolling-update/drain-command"));

/** A roller that drains one node, with Ctrl-C for what the terminal sends it. */
function rollerThatDrains(program: string, onInterrupt: string) {
  const source = `
    const { drainCommand } = require(${MODULE});
    const work = setInterval(() => {}, 1_000);
    process.on("SIGINT", () => { ${onInterrupt} });
    drainCommand(process.execPath, ["-e", ${JSON.stringify(program)}], 60_000)
      .drain(${JSON.stringify(target)})
      .then(() => console.log("drained"), (error) => console.log(error.message))
      .finally(() => clearInterval(work));`;
  const child = spawn(process.execPath, ["--import", "tsx", "-e", source], {
    cwd: resolve("."),
    env: { ...process.env, SCRATCH: scratch.path },
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.on("data", (text) => (out += text));
  return { child, out: () => out, ended: once(child, "close") };
}

const inScratch = (name: string) => join(scratch.path, name);
const began = () => eventually(async () => (existsSync(inScratch("began")) ? true : undefined));
/** A drain that begins, and ends well once it is allowed to. */
const DRAIN = `
  const { existsSync, writeFileSync } = require("node:fs");
  writeFileSync(process.env.SCRATCH + "/began", String(process.pid));
  setInterval(() => { if (existsSync(process.env.SCRATCH + "/go")) process.exit(0); }, 20);`;

describe("a program that drains", () => {
  test("R14, R19: does not hear the Ctrl-C that lets the roller finish its node", async () => {
    const { child, out, ended } = rollerThatDrains(DRAIN, `console.log("heard")`);
    await began();

    process.kill(-(child.pid ?? 0), "SIGINT");
    await eventually(async () => (out().includes("heard") ? true : undefined));
    scratch.write("go", "");
    await ended;

    expect(out()).toBe("heard\ndrained\n");
  }, 60_000);

  test("R19: ends with the roller that stops at once", async () => {
    const { child, ended } = rollerThatDrains(DRAIN, "clearInterval(work)");
    await began();
    const drain = Number(readFileSync(inScratch("began"), "utf8"));

    process.kill(-(child.pid ?? 0), "SIGINT");
    await ended;

    await eventually(async () => (isAlive(drain) ? undefined : true));
  }, 60_000);

  test("R14: may say as much as it likes", async () => {
    const chatty = `process.stderr.write("x".repeat(3_000_000)); process.stdout.write("y".repeat(3_000_000));`;

    await expect(drainCommand(process.execPath, ["-e", chatty], PATIENCE_MS).drain(target)).resolves.toBeUndefined();
  });

  test("R14: that fails is told with its end and what it said last", async () => {
    const fails = `console.error("z".repeat(100_000) + process.env.DRAIN_ACTION + " of " + process.env.NODE_ID); process.exitCode = 7;`;

    const failure = await drainCommand(process.execPath, ["-e", fails], PATIENCE_MS)
      .drain(target)
      .then(
        () => "",
        (error: Error) => error.message,
      );

    expect(failure).toMatch(/ ended with 7: z+drain of 00$/);
    expect(failure.length).toBeLessThan(3_000);
  });

  test("R14: that is not there is told so", async () => {
    await expect(drainCommand("/no/such/program", [], PATIENCE_MS).drain(target)).rejects.toThrow(
      "/no/such/program did not start: spawn /no/such/program ENOENT",
    );
  });

  test("R14: that does not end in time is told so", async () => {
    await expect(
      drainCommand(process.execPath, ["-e", "setInterval(() => {}, 1_000)"], 50).drain(target),
    ).rejects.toThrow("did not end in time");
  });

  test("R14: is ended with what it started", async () => {
    const starts = `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(DRAIN)}], { stdio: "inherit" });`;
    const late = new AbortController();
    const env = { SCRATCH: scratch.path };
    const running = runProgram(process.execPath, ["-e", starts], { env, signal: late.signal });
    await began();
    const started = Number(readFileSync(inScratch("began"), "utf8"));

    late.abort();

    await expect(running).rejects.toThrow("did not end in time");
    await eventually(async () => (isAlive(started) ? undefined : true));
  }, 60_000);
});

test("R11: a check may say as much as it likes, and counts for what it ends with", async () => {
  const [node] = nodesAt(["127.0.0.1"]);
  if (!node) throw new Error("no node");
  const chatty = (code: number) =>
    `process.stderr.write("x".repeat(3_000_000) + "\\nlast", () => process.exit(${code}));`;

  await expect(commandCheck(process.execPath, ["-e", chatty(0)], PATIENCE_MS)(node)).resolves.toEqual({ ok: true });
  await expect(commandCheck(process.execPath, ["-e", chatty(1)], PATIENCE_MS)(node)).resolves.toEqual({
    ok: false,
    reason: "last",
  });
});
