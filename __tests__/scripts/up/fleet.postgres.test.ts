import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { StateFolder } from "../../../scripts/up/state-folder";
import { useScratch } from "../../support/scratch";

const scratch = useScratch();

/** Only a hang is longer. */
const PATIENCE_MS = 120_000;

interface Run {
  readonly process: ChildProcess;
  readonly ended: Promise<number | NodeJS.Signals | null>;
  readonly text: () => string;
  /** Resolves once the text matches; fails when the process ends before. */
  says(pattern: RegExp): Promise<void>;
}

const runs: Run[] = [];
afterEach(async () => {
  for (const run of runs.splice(0)) {
    run.process.kill("SIGINT");
    await run.ended;
  }
}, PATIENCE_MS);

function runFleet(...args: string[]): Run {
  const child = spawn(process.execPath, ["--import", "tsx", resolve(__dirname, "run-fleet.ts"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  const heard: (() => void)[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (more: string) => {
      text += more;
      for (const look of heard) look();
    });
  }
  const ended = new Promise<number | NodeJS.Signals | null>((done) =>
    child.once("exit", (status, signal) => done(signal ?? status)),
  );
  const says = (pattern: RegExp): Promise<void> =>
    new Promise((matched, failed) => {
      const look = () => pattern.test(text) && matched();
      heard.push(look);
      look();
      ended.then(() => failed(new Error(`the fleet ended:\n${text}`)));
    });
  const run = { process: child, ended, text: () => text, says };
  runs.push(run);
  return run;
}

const FLOWING = /running.* [1-9]\d* out,/;

it(
  "copies a shop, loses nothing when it is killed or interrupted, and goes on with the next start",
  async () => {
    chmodSync(scratch.path, 0o711);
    const folder = join(scratch.path, "state");

    // GIVEN a fleet whose rows flow, which nobody else may start in the same folder
    const killed = runFleet(folder);
    await killed.says(FLOWING);
    await expect(StateFolder.open(folder)).rejects.toThrow(
      `process ${killed.process.pid} runs a local fleet in ${folder}: stop it first`,
    );

    // WHEN it is killed
    killed.process.kill("SIGKILL");
    expect(await killed.ended).toBe("SIGKILL");

    // THEN the next one takes over what it left, and stops in order when it is interrupted
    const interrupted = runFleet(folder);
    await interrupted.says(FLOWING);
    expect(interrupted.text()).toContain("the last fleet was killed: going on with what it left");
    interrupted.process.kill("SIGINT");
    expect(await interrupted.ended).toBe(0);
    expect(interrupted.text()).toContain("stopping; jobs are given back");
    expect(existsSync(join(folder, "postgres", "data", "postmaster.pid"))).toBe(false);

    // THEN one with a bound ends by itself, and every row of all three lives has arrived
    const bounded = runFleet(folder, "100");
    expect(await bounded.ended).toBe(0);
    expect(bounded.text()).not.toContain("was killed");
    const outcome = JSON.parse(bounded.text().trim().split("\n").at(-1) ?? "");
    expect(outcome).toMatchObject({ equal: true });
    expect(outcome.rowsIn).toBe(outcome.rowsOut);
    expect(outcome.rowsIn).toBeGreaterThan(1_100);
  },
  4 * PATIENCE_MS,
);

it(
  "says at once that a fleet which is interrupted while it starts will be stopped, and does not say how to use it",
  async () => {
    chmodSync(scratch.path, 0o711);
    const folder = join(scratch.path, "state");
    const fleet = runFleet(folder);
    await fleet.says(/starting the local fleet/);

    fleet.process.kill("SIGINT");
    await fleet.says(/stopping; the fleet is stopped once it has started/);

    expect(await fleet.ended).toBe(0);
    expect(fleet.text()).not.toMatch(/export HOLDFAST_URL|Ctrl-C stops it/);
    expect(existsSync(join(folder, "postgres", "data", "postmaster.pid"))).toBe(false);
  },
  2 * PATIENCE_MS,
);
