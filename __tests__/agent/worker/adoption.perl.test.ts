import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { recordedDaemons } from "../../../agent/worker/daemon/process-host";
import { startOf } from "../../../agent/worker/daemon/process-identity";
import { type FakeControlPlane, startControlPlane } from "../../support/fake-control-plane";
import { useScratch } from "../../support/scratch";
import { eventually } from "../daemon/eventually";
import { grantOf } from "./jobs/supervised";

const TOKEN = "canary-deployment-token-51c0";
const JOBS = 100;
const PATIENCE_MS = 240_000;
let controlPlane: FakeControlPlane;
let agent: ChildProcess | undefined;
const lines: string[] = [];

jest.setTimeout(4 * PATIENCE_MS);
const jobs = () => join(scratch.path, "state", "jobs");
/** The daemons that are alive: job, fence, pid, start and port. */
const daemons = async () =>
  (await recordedDaemons(jobs()))
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
    for (const { pid, start } of await recordedDaemons(jobs()))
      if (startOf(pid) === start) process.kill(-pid, "SIGKILL");
    expect(await daemons()).toEqual([]);
  });
  await controlPlane.close();
});
// Its hook comes after the one above, which finds the daemons by their folders.
const scratch = useScratch();

test("R30: an agent that is killed, hands over or is upgraded under 100 running jobs leaves every daemon running, and the next one takes all up by pid, start time and identity", async () => {
  const settings = {
    controlPlaneUrl: controlPlane.endpoint,
    deploymentTokenFile: scratch.write("token", TOKEN),
    workerId: "worker-1",
    slots: JOBS,
    stateDirectory: join(scratch.path, "state"),
    daemon: { kind: "dbmazz", version: "2.4.0", command: ["perl", resolve("__tests__/support/stand-in-daemon.pl")] },
  };
  writeFileSync(join(scratch.path, "worker.json"), JSON.stringify(settings));
  const program = join(scratch.path, "worker-agent.mjs");
  copyFileSync("dist/worker-agent.mjs", program);
  const grant = () => controlPlane.grants.push(grantOf({ deadlineMs: PATIENCE_MS }));
  for (let job = 0; job < JOBS; job++) grant();
  // A job whose daemon lost its port to another program of this machine is granted anew, as it would be.
  controlPlane.intercept = ({ name }) => void (name === "report" && grant());
  const everyJobServes = () =>
    reaches("every job serves", () => {
      expect(running().filter(({ status }) => status === "running")).toHaveLength(JOBS);
    });

  let ended = startAgent(program);
  await everyJobServes();
  controlPlane.intercept = undefined;
  const before = await daemons();
  const [started, reports] = [count("daemon started"), controlPlane.messagesOf("report").length];
  expect(new Set(before.map((daemon) => daemon.split(" ").at(-1))).size).toBe(JOBS);

  const next = join(scratch.path, "next.mjs");
  copyFileSync(program, next);
  const seconds: number[] = [];
  for (const [signal, successor] of [
    ["SIGKILL", program],
    ["SIGHUP", program],
    ["SIGHUP", next],
  ] as const) {
    agent?.kill(signal);
    await ended;
    expect(await daemons()).toEqual(before);
    const [found, registrations] = [count("job found running"), controlPlane.messagesOf("register").length];
    const startedAt = performance.now();
    ended = startAgent(successor);
    await reaches("all are taken up", () => expect(count("job found running")).toBe(found + JOBS));
    seconds.push(Math.round((performance.now() - startedAt) / 100) / 10);
    await reaches("it is registered", () =>
      expect(controlPlane.messagesOf("register").length).toBeGreaterThan(registrations),
    );
    await everyJobServes();
  }

  process.stderr.write(`taken up ${JOBS} daemons after ${seconds.join(", ")} s\n`);
  expect(await daemons()).toEqual(before);
  expect(count("daemon started")).toBe(started);
  expect(controlPlane.messagesOf("report")).toHaveLength(reports);
});
