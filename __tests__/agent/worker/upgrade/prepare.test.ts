import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../../../agent/host/log";
import { prepareStart } from "../../../../agent/worker/upgrade/prepare";
import { type Trial, trialFiles } from "../../../../agent/worker/upgrade/trial";
import { linkVersion } from "../../../../scripts/chaos/releases";
import { unreadable } from "../../../support/unreadable";

let directory: string;
let installed: string;
let link: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-prepare-"));
  installed = linkVersion(join(directory, "boot"), "1.0.0", "agent.mjs", Buffer.from("the boot's"));
  link = join(directory, "state", "agents", "agent.mjs");
  mkdirSync(join(directory, "state"));
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

const state = () => join(directory, "state");
const prepare = (programs = [{ installed, link }]) =>
  prepareStart(
    state(),
    programs,
    createLog(() => {}),
  );

/** A version that was put in place, as the agent writes it down before it ends. */
async function onTrial(change: Partial<Trial> = {}): Promise<Trial> {
  await prepare();
  const from = readlinkSync(link);
  const to = join(state(), "agents", "1.1.0", "agent.mjs");
  mkdirSync(join(to, ".."), { recursive: true });
  writeFileSync(to, "the new one");
  rmSync(link);
  symlinkSync(to, link);
  const trial: Trial = {
    campaignId: "11111111-1111-4111-8111-111111111111",
    program: "agent",
    version: "1.1.0",
    link,
    from,
    to,
    gateMs: 60_000,
    state: "trying",
    detail: "",
    ...change,
  };
  await trialFiles(state()).trial.write(trial);
  return trial;
}
const started = () => readFileSync(link, "utf8");

test("R31: before its first start the agent's link leads to what the boot has installed, and stays as it is then", async () => {
  await prepare();
  expect(started()).toBe("the boot's");

  await onTrial({ state: "healthy" });
  await prepare();
  expect(started()).toBe("the new one");
});

test("R31: a link that leads nowhere leads to the boot's version again; a program that is no link is left to the boot", async () => {
  await onTrial({ state: "healthy" });
  rmSync(join(state(), "agents", "1.1.0"), { recursive: true });
  const plain = { installed: join(directory, "boot", "1.0.0", "agent.mjs"), link: join(state(), "plain", "agent.mjs") };

  await prepare([{ installed, link }, plain]);

  expect(started()).toBe("the boot's");
  expect(() => readlinkSync(plain.link)).toThrow("ENOENT");
});

test("R31: a version on trial is started once; when it is to be started again it is turned back first", async () => {
  const trial = await onTrial();

  await prepare();
  expect(started()).toBe("the new one");
  await prepare();

  expect(started()).toBe("the boot's");
  expect(trialFiles(state()).trial.read()).toEqual({
    ...trial,
    begun: true,
    state: "rolled_back",
    detail: "the agent ended during the trial",
  });
});

test("R31: so is one whose link leads on from its own folder", async () => {
  await onTrial({ begun: true });
  rmSync(link);
  symlinkSync("1.1.0/agent.mjs", link);

  await prepare();

  expect(started()).toBe("the boot's");
});

test("R31: a version that was never put in place is not on trial", async () => {
  const trial = await onTrial();
  rmSync(link);
  symlinkSync(trial.from, link);

  await prepare();
  await prepare();

  expect(trialFiles(state()).trial.read()).toEqual(trial);
});

test("R31: where it cannot be read whether a version is on trial nothing is turned or written, and that is told", async () => {
  const trial = await onTrial({ begun: true });
  const file = join(state(), "upgrade.json");
  unreadable(file, "EIO");

  await expect(prepare()).rejects.toThrow(`${file} cannot be read`);

  jest.restoreAllMocks();
  expect(started()).toBe("the new one");
  expect(trialFiles(state()).trial.read()).toEqual(trial);
});
