import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { createLog } from "../../../../agent/host/log";
import type { HandedLease } from "../../../../agent/worker/lease-keeper";
import { probeAgent } from "../../../../agent/worker/upgrade/install";
import { linkedVersion } from "../../../../agent/worker/upgrade/linked-program";
import { releaseKey } from "../../../../agent/worker/upgrade/release-signature";
import { type Trial, trialFiles } from "../../../../agent/worker/upgrade/trial";
import { rollBack } from "../../../../agent/worker/upgrade/trial-watch";
import { type UpgradeProps, Upgrades } from "../../../../agent/worker/upgrade/upgrades";
import { unreadable } from "../../../support/unreadable";
import { program, useLinkedAgent } from "./linked-agent";

const LEASE: HandedLease = { sentAt: { monotonicMs: 1_000, wallMs: 2_000 }, leaseMs: 30_000 };
const CAMPAIGN = "11111111-1111-4111-8111-111111111111";

const agent = useLinkedAgent();
afterEach(() => jest.restoreAllMocks());

/** An agent's upgrades, and what becomes of one on the way. */
function upgradesOf({
  mayRestart = () => true,
  ...change
}: Partial<UpgradeProps> & { mayRestart?: () => boolean } = {}) {
  const steps: string[] = [];
  const note = (what: string) => void steps.push(`${what}, ${linkedVersion(agent.link)} in place`);
  const props: UpgradeProps = {
    key: releaseKey(readFileSync(agent.releases.keyFile, "utf8")),
    directory: agent.directory,
    gateMs: 60_000,
    programs: { agent: { link: agent.link, version: "1.0.0", probe: probeAgent } },
    fetchRelease: (url, signal) => {
      note("fetched");
      return fetch(url, { signal });
    },
    watch: (path) => note(`watched by ${path.slice(agent.directory.length + 1)}`),
    ...change,
  };
  let changes = 0;
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const upgrades = new Upgrades(props, {
    log: createLog(() => {}),
    // Once when it begins, once when it has ended.
    changed: () => {
      changes += 1;
      if (changes === 2) end();
    },
    mayRestart,
    restart: () => note("restart"),
    failures: () => 0,
  });
  return { upgrades, steps, ended };
}

const wanted = () => ({
  kind: "upgrade" as const,
  campaignId: CAMPAIGN,
  downgrade: false,
  ...agent.releases.offer("agent", "1.1.0", program("1.1.0")),
});

/** Asks an agent for 1.1.0; gives what became of it, and what it did on the way. */
async function upgrade({ upgrades, steps, ended } = upgradesOf()) {
  upgrades.obey(wanted());
  await ended;
  return { steps, said: upgrades.said() };
}

test("R31: a new version is put in place, watched by the old one, and only then is the agent started again", async () => {
  const { steps, said } = await upgrade();
  expect(steps).toEqual([
    "fetched, 1.0.0 in place",
    "watched by agents/1.0.0/agent.mjs, 1.1.0 in place",
    "restart, 1.1.0 in place",
  ]);
  expect(said).toEqual({ campaignId: CAMPAIGN, state: "installing" });
  expect(trialFiles(agent.directory).trial.read()).toMatchObject({ state: "trying", version: "1.1.0", gateMs: 60_000 });
});

test("R31: a link that leads on from its own folder is upgraded there, wherever the agent runs, by paths from the root", async () => {
  rmSync(agent.link);
  symlinkSync("1.0.0/agent.mjs", agent.link);
  const watchers: string[] = [];
  const { said } = await upgrade(upgradesOf({ watch: (path) => void watchers.push(path) }));
  const file = (version: string) => join(agent.directory, "agents", version, "agent.mjs");

  expect(said).toEqual({ campaignId: CAMPAIGN, state: "installing" });
  expect(trialFiles(agent.directory).trial.read()).toMatchObject({ from: file("1.0.0"), to: file("1.1.0") });
  expect(watchers).toEqual([file("1.0.0")]);
  expect([readFileSync(agent.link), existsSync("1.1.0")]).toEqual([program("1.1.0"), false]);

  // WHEN it is turned back
  const trial = trialFiles(agent.directory).trial.read();
  if (!trial) throw new Error("no trial");
  await rollBack(
    trial,
    "unwell",
    trialFiles(agent.directory),
    createLog(() => {}),
  );
  expect(readFileSync(agent.link)).toEqual(program("1.0.0"));
});

test("R31: a trial whose link leads on from its own folder is gone on with", async () => {
  const to = readlinkSync(agent.link);
  rmSync(agent.link);
  symlinkSync("1.0.0/agent.mjs", agent.link);
  await trialFiles(agent.directory).trial.write({ ...trialOf(), to });
  const { upgrades } = upgradesOf();

  await upgrades.resume();

  expect(upgrades.said()).toEqual({ campaignId: CAMPAIGN, state: "installing" });
});

test("R31: a worker without a release key refuses each upgrade with that reason, and fetches nothing", async () => {
  const { steps, said } = await upgrade(upgradesOf({ key: undefined }));
  expect(steps).toEqual([]);
  expect(said).toEqual({
    campaignId: CAMPAIGN,
    state: "failed",
    detail: "the worker holds no release key, so nothing that it could verify a release with",
  });
});

test("R31: an agent that drains leaves the old version in place, and does not start again", async () => {
  const { steps, said } = await upgrade(upgradesOf({ mayRestart: () => false }));
  expect(steps).toEqual(["fetched, 1.0.0 in place"]);
  expect(said).toMatchObject({ state: "failed", detail: "the worker drains" });
  expect(trialFiles(agent.directory).trial.read()).toBeUndefined();
});

test.each([
  ["is about to be put in place", () => trialFiles(agent.directory).trial.readOr(undefined) !== undefined],
  ["was just put in place", () => linkedVersion(agent.link) === "1.1.0"],
])(
  "R31: an agent that begins to drain while the new version %s keeps the old one, and does not start again",
  async (_, drains) => {
    const { steps, said } = await upgrade(upgradesOf({ mayRestart: () => !drains() }));
    expect(steps).toEqual(["fetched, 1.0.0 in place"]);
    expect(said).toMatchObject({ state: "failed", detail: "the worker drains" });
    expect([linkedVersion(agent.link), trialFiles(agent.directory).trial.read()]).toEqual(["1.0.0", undefined]);
  },
);

test("R31: a link that cannot be turned is known to be on trial, and its old version serves", async () => {
  // What the link is made as before it takes its place.
  mkdirSync(`${agent.link}.${process.pid}.partial`);
  const { steps, said } = await upgrade();
  expect(steps).toEqual(["fetched, 1.0.0 in place"]);
  expect(said?.state).toBe("failed");
  expect(trialFiles(agent.directory).trial.read()).toMatchObject({ state: "trying" });
  expect(readdirSync(join(agent.directory, "agents")).sort()).toEqual(expect.arrayContaining(["1.0.0", "1.1.0"]));
});

test("R31: while it is not known whether a version is on trial an upgrade is refused with the file and what to do", async () => {
  const path = join(agent.directory, "upgrade.json");
  unreadable(path, "EIO");
  const parts = upgradesOf();
  await parts.upgrades.resume();
  const { steps, said } = await upgrade(parts);
  expect(steps).toEqual([]);
  expect(said).toEqual({
    campaignId: CAMPAIGN,
    state: "failed",
    detail: `whether a version is on trial is not known: ${path} cannot be read: make it readable: EIO: ${path}`,
  });
});

const trialOf = (): Trial => ({
  campaignId: CAMPAIGN,
  program: "agent",
  version: "1.1.0",
  link: agent.link,
  from: "1.0.0",
  to: readlinkSync(agent.link),
  gateMs: 60_000,
  state: "trying",
  detail: "",
});

test("R31: a trial of which nothing can be written down for a moment does not keep the agent from starting, and is gone on with", async () => {
  const files = trialFiles(agent.directory);
  await files.trial.write(trialOf());
  const { upgrades } = upgradesOf();
  // What the sign is made as before it takes its place.
  const inTheWay = join(agent.directory, `upgrade-sign.json.${process.pid}.partial`);
  mkdirSync(inTheWay);

  await upgrades.resume();
  expect(files.sign.read()).toBeUndefined();

  rmdirSync(inTheWay);
  await upgrades.heard(upgrades.said(), [], LEASE);

  expect(upgrades.said()).toEqual({ campaignId: CAMPAIGN, state: "installing" });
  expect(files.sign.read()).toMatchObject({ pid: process.pid, lease: LEASE });
});

test("R31: a trial that cannot be read for a moment is gone on with at the next heartbeat that is answered", async () => {
  const files = trialFiles(agent.directory);
  await files.trial.write(trialOf());
  const { upgrades } = upgradesOf();
  unreadable(join(agent.directory, "upgrade.json"), "EMFILE");
  await upgrades.resume();
  expect(upgrades.said()).toBeUndefined();
  jest.restoreAllMocks();

  await upgrades.heard(undefined, [], LEASE);

  expect(upgrades.said()).toEqual({ campaignId: CAMPAIGN, state: "installing" });
  expect(files.sign.read()).toMatchObject({ pid: process.pid, lease: LEASE });
});

/** A version that is noted as on trial, with a link that leads to the one before. */
async function notInPlace(change: Partial<Trial> = {}): Promise<void> {
  const to = join(agent.directory, "agents", "1.1.0", "agent.mjs");
  await trialFiles(agent.directory).trial.write({ ...trialOf(), from: readlinkSync(agent.link), to, ...change });
}

test("R31: an agent that ended before the new version was in place says nothing of it, and upgrades when it is asked again", async () => {
  await notInPlace();
  const parts = upgradesOf();

  await parts.upgrades.resume();
  expect([parts.upgrades.said(), trialFiles(agent.directory).trial.read()]).toEqual([undefined, undefined]);

  const { steps, said } = await upgrade(parts);
  expect(steps.at(-1)).toBe("restart, 1.1.0 in place");
  expect(said).toEqual({ campaignId: CAMPAIGN, state: "installing" });
});

test.each<[string, () => Promise<void>]>([
  ["was about to be started", () => notInPlace({ begun: true })],
  [
    "had given a sign",
    async () => {
      await notInPlace();
      await trialFiles(agent.directory).sign.write({ pid: 1, start: "1", failures: 0 });
    },
  ],
])(
  "R31: a version that %s and is not in place any more was turned back, though nobody has written so",
  async (_, given) => {
    await given();
    const { upgrades } = upgradesOf();

    await upgrades.resume();

    expect(upgrades.said()).toMatchObject({ campaignId: CAMPAIGN, state: "rolled_back" });
    expect(trialFiles(agent.directory).trial.read()).toMatchObject({ state: "rolled_back" });
  },
);

test("R31: an agent that is told to end for good before it was started again has the old version in place, and says that it drains", async () => {
  const parts = upgradesOf();
  await upgrade(parts);

  await parts.upgrades.abandon();

  expect([linkedVersion(agent.link), trialFiles(agent.directory).trial.read()]).toEqual(["1.0.0", undefined]);
  expect(parts.upgrades.said()).toEqual({ campaignId: CAMPAIGN, state: "failed", detail: "the worker drains" });
});

test("R31: a new version that nobody can watch is not left in place", async () => {
  const watch = () => {
    throw new Error("ENOSPC: upgrade.log");
  };
  const { said } = await upgrade(upgradesOf({ watch }));

  expect(said).toMatchObject({ state: "failed", detail: "ENOSPC: upgrade.log" });
  expect([linkedVersion(agent.link), trialFiles(agent.directory).trial.read()]).toEqual(["1.0.0", undefined]);
});

test("R31: what an earlier trial's agent said of itself is not held to the new version", async () => {
  const files = trialFiles(agent.directory);
  await files.sign.write({ pid: process.pid, start: "1", lease: LEASE, failures: 1 });

  await upgrade();

  expect(files.trial.read()).toMatchObject({ state: "trying", version: "1.1.0" });
  expect(files.sign.read()).toBeUndefined();
});

test("R31: how a trial ended is told for as long as its upgrade is asked for, which is not carried out again", async () => {
  const files = trialFiles(agent.directory);
  await files.trial.write({ ...trialOf(), state: "rolled_back", detail: "unwell" });
  const parts = upgradesOf();
  await parts.upgrades.resume();
  const told = { campaignId: CAMPAIGN, state: "rolled_back", detail: "unwell" };

  await parts.upgrades.heard(parts.upgrades.said(), [wanted()], LEASE);
  expect(parts.upgrades.said()).toEqual(told);

  await parts.upgrades.heard(parts.upgrades.said(), [], LEASE);
  expect(parts.upgrades.said()).toBeUndefined();
  expect([files.trial.read(), files.sign.read()]).toEqual([undefined, undefined]);
});

test.each(["rolled_back", "healthy"] as const)(
  "R31: an upgrade that is settled (%s) is not carried out once more where an answer that asks for it comes late, and another is",
  async (state) => {
    await trialFiles(agent.directory).trial.write({ ...trialOf(), state });
    const { upgrades, steps, ended } = upgradesOf();
    await upgrades.resume();
    const settling = upgrades.heard(upgrades.said(), [], LEASE);
    upgrades.obey(wanted());
    await settling;
    upgrades.obey(wanted());

    expect([upgrades.said(), steps]).toEqual([undefined, []]);

    // WHEN the same version is asked for again
    const again = { ...wanted(), campaignId: "22222222-2222-4222-8222-222222222222" };
    upgrades.obey(again);
    await ended;
    expect(upgrades.said()).toEqual({ campaignId: again.campaignId, state: "installing" });
  },
);

test("R31: an upgrade that failed before its trial and is settled is not tried once more where an answer that asks for it comes late", async () => {
  const { upgrades, ended } = upgradesOf({ key: undefined });
  upgrades.obey(wanted());
  await ended;
  expect(upgrades.said()).toMatchObject({ state: "failed" });
  await upgrades.heard(upgrades.said(), [], LEASE);

  upgrades.obey(wanted());

  expect(upgrades.said()).toBeUndefined();
});
