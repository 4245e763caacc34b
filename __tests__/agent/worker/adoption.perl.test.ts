import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { recordedDaemons } from "../../../agent/worker/daemon/process-host";
import { startOf } from "../../../agent/worker/daemon/process-identity";
import release from "../../../agent/worker/release.json";
import { linkedVersion } from "../../../agent/worker/upgrade/linked-program";
import { trialFiles } from "../../../agent/worker/upgrade/trial";
import { agentAs, linkVersion, Releases } from "../../../scripts/chaos/releases";
import { type FakeControlPlane, json, startControlPlane } from "../../support/fake-control-plane";
import { longForm } from "../../support/long-form";
import { useScratch } from "../../support/scratch";
import { eventually } from "../daemon/eventually";
import { grantOf } from "./jobs/supervised";

const TOKEN = "canary-deployment-token-51c0";
const JOBS = 100;
const PATIENCE_MS = 240_000;
/** A trial outlasts the test on any machine. */
const GATE_SECONDS = 3_600;
const NEXT_VERSION = `${Number.parseInt(release.version, 10) + 1}.0.0`;
/** Beside other tests the time says little. */
const TAKEN_UP_WITHIN_SECONDS = longForm(Number.POSITIVE_INFINITY, 10);
let controlPlane: FakeControlPlane;
let releases: Releases;
let agent: ChildProcess | undefined;
const lines: string[] = [];

jest.setTimeout(4 * PATIENCE_MS);
const state = () => join(scratch.path, "state");
const jobs = () => join(state(), "jobs");
/** The daemons that are alive: job, fence, pid, start and port. */
const daemons = () =>
  recordedDaemons(jobs())
    .filter(({ pid, start }) => startOf(pid) === start)
    .map(({ record: { jobId, fence, port }, pid, start }) => `${jobId} ${fence} ${pid} ${start} ${port}`)
    .sort();

function startAgent(program: string): Promise<unknown> {
  const child = spawn(process.execPath, [program, "local", "--config", join(scratch.path, "worker.json")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  agent = child;
  return new Promise((ended) => child.once("exit", ended));
}

const count = (message: string) => lines.filter((line) => line.includes(`"message":"${message}"`)).length;
const running = () => controlPlane.messagesOf("heartbeat").at(-1)?.body.running ?? [];
const reaches = (what: string, holds: () => void | Promise<void>) => eventually(what, async () => holds(), PATIENCE_MS);

beforeEach(async () => {
  controlPlane = await startControlPlane(TOKEN);
  controlPlane.leaseMs = 600_000;
});
afterEach(async () => {
  agent?.kill("SIGKILL");
  await reaches("no daemon is left", async () => {
    for (const { pid, start } of recordedDaemons(jobs())) if (startOf(pid) === start) process.kill(-pid, "SIGKILL");
    expect(daemons()).toEqual([]);
  });
  const watcher = trialFiles(state()).watcher.read();
  if (watcher && startOf(watcher.pid) === watcher.start) process.kill(watcher.pid, "SIGKILL");
  await Promise.all([controlPlane.close(), releases.close()]);
});
// Its hook comes after the one above, which finds the daemons by their folders.
const scratch = useScratch();

/** Has the agent upgraded, for as long as it is there. */
function upgrade(version: string): void {
  const wanted = { kind: "upgrade", downgrade: false, ...releases.offer("agent", version, agentAs(version)) };
  controlPlane.intercept = ({ name }) => {
    if (name !== "heartbeat") return undefined;
    // Another campaign each time: one that a busy machine has failed is followed by the next.
    const action = { ...wanted, campaignId: randomUUID() };
    return json(200, { leaseMs: controlPlane.leaseMs, nextMs: 200, actions: [action] });
  };
}

test("R30: an agent that is killed, hands over or upgrades itself under 100 running jobs leaves every daemon running, and the next one takes all up by pid, start time and identity", async () => {
  releases = await Releases.open(scratch.path);
  const settings = {
    controlPlaneUrl: controlPlane.endpoint,
    deploymentTokenFile: scratch.write("token", TOKEN),
    workerId: "worker-1",
    slots: JOBS + 1,
    stateDirectory: state(),
    daemon: { kind: "dbmazz", version: "2.4.0", command: ["perl", resolve("__tests__/support/stand-in-daemon.pl")] },
    upgrade: { releaseKeyFile: releases.keyFile, gateSeconds: GATE_SECONDS },
  };
  writeFileSync(join(scratch.path, "worker.json"), JSON.stringify(settings));
  const bundle = readFileSync("dist/worker-agent.mjs");
  const program = linkVersion(join(scratch.path, "agents"), release.version, "worker-agent.mjs", bundle);
  const grant = () => controlPlane.grants.push(grantOf({ deadlineMs: PATIENCE_MS }));
  const serve = (count: number) =>
    reaches(`${count} jobs are served`, () => {
      expect(running().filter(({ status }) => status === "running")).toHaveLength(count);
    });
  for (let job = 0; job < JOBS; job++) grant();
  // A job whose daemon lost its port to another program of this machine is granted anew, as it would be.
  controlPlane.intercept = ({ name }) => void (name === "report" && grant());

  let ended = startAgent(program);
  await serve(JOBS);
  controlPlane.intercept = undefined;
  const before = daemons();
  const [started, reports] = [count("daemon started"), controlPlane.messagesOf("report").length];

  const seconds: number[] = [];
  for (const end of [() => agent?.kill("SIGKILL"), () => agent?.kill("SIGHUP"), () => upgrade(NEXT_VERSION)]) {
    end();
    await ended;
    controlPlane.intercept = undefined;
    expect(daemons()).toEqual(before);
    const [found, registrations] = [count("job found running"), controlPlane.messagesOf("register").length];
    const startedAt = performance.now();
    ended = startAgent(program);
    await reaches("all are taken up", () => expect(count("job found running")).toBe(found + JOBS));
    seconds.push(Math.round((performance.now() - startedAt) / 100) / 10);
    await reaches("it is registered", () =>
      expect(controlPlane.messagesOf("register").length).toBeGreaterThan(registrations),
    );
    await serve(JOBS);
  }

  process.stderr.write(`taken up ${JOBS} daemons after ${seconds.join(", ")} s\n`);
  expect(Math.max(...seconds)).toBeLessThanOrEqual(TAKEN_UP_WITHIN_SECONDS);
  expect(linkedVersion(program)).toBe(NEXT_VERSION);
  expect(controlPlane.messagesOf("register").at(-1)?.body.agentVersion).toBe(NEXT_VERSION);
  expect(daemons()).toEqual(before);
  expect(count("daemon started")).toBe(started);
  expect(controlPlane.messagesOf("report")).toHaveLength(reports);

  // WHEN the last of these agents starts one more, it has a port that none of the others has
  grant();
  await serve(JOBS + 1);
  const ports = daemons().map((daemon) => daemon.split(" ").at(-1));
  expect(new Set(ports).size).toBe(JOBS + 1);
  expect(daemons()).toEqual(expect.arrayContaining(before));
});
