import { chmodSync, existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { Server } from "node:net";
import { join } from "node:path";
import { createLog } from "../../../agent/host/log";
import { runGuard } from "../../../agent/worker/guard";
import { type GuardClient, guardClient } from "../../../agent/worker/guard-client";
import { machineInstant } from "../../../agent/worker/lease-keeper";
import { eventually } from "../../support/eventually";
import { useScratch } from "../../support/scratch";
import { recordOf } from "./daemon/daemon-record";

const HOUR_MS = 3_600_000;
const scratch = useScratch();
const at = (name: string) => join(scratch.path, name);
const { PATH: path } = process.env;
const listen = jest.spyOn(Server.prototype, "listen");
let skippedMs = 0;
const clock = Date.now.bind(Date);
jest.spyOn(Date, "now").mockImplementation(() => clock() + skippedMs);

beforeEach(() => {
  skippedMs = 0;
  // A systemd that writes down what it was asked, and is told nothing while it is busy.
  const asked = `echo "$(basename "$0") $*" >>"${at("asked")}"`;
  const programs = {
    "systemd-notify": `${asked}; while [ -e "${at("busy")}" ]; do sleep 0.02; done`,
    "systemd-run": asked,
    systemctl: asked,
  };
  for (const [name, text] of Object.entries(programs)) {
    chmodSync(scratch.write(join("bin", name), `#!/bin/sh\n${text}\n`), 0o755);
  }
  Object.assign(process.env, { PATH: `${at("bin")}:${path}`, NOTIFY_SOCKET: at("notify") });
});
afterEach(() => {
  for (const server of listen.mock.contexts) (server as Server).close();
  jest.clearAllMocks();
  process.env["PATH"] = path;
  delete process.env["NOTIFY_SOCKET"];
});

const asked = (program: string) =>
  (existsSync(at("asked")) ? readFileSync(at("asked"), "utf8").trim().split("\n") : [])
    .filter((line) => line.startsWith(`${program} `))
    .map((line) => line.slice(program.length + 1));
const leaseOf = (leaseMs: number) => ({ sentAt: machineInstant(), leaseMs });

/** A guard that can be asked, and its end. */
async function guard(): Promise<{ client: GuardClient; ended: Promise<void> }> {
  const socket = at("socket");
  const props = { directory: at("guard"), socket, daemon: () => "/bin/true" };
  const ended = runGuard(
    props,
    createLog(() => {}),
  );
  await eventually(async () => (asked("systemd-notify").length > 0 ? true : undefined));
  return { client: guardClient(socket), ended };
}

async function startBy(client: GuardClient): Promise<void> {
  const { jobId, fence } = recordOf();
  await client.start({
    jobId,
    fence,
    bound: true,
    variables: {},
    files: {},
    limits: { memoryBytes: 1, cpuPercent: 100 },
  });
}

test("systemd is to end a guard that stands still a second after its lease, and is told so before a daemon starts", async () => {
  const { client, ended } = await guard();
  client.holdLease(leaseOf(HOUR_MS));

  await startBy(client);

  const order = readFileSync(at("asked"), "utf8").trim().split("\n");
  expect(order.at(-1)).toMatch(/^systemd-run /);
  const [, microseconds] = /WATCHDOG_USEC=(\d+)/.exec(order.at(-2) ?? "") ?? [];
  const watchdogMs = Number(microseconds) / 1_000;
  expect(watchdogMs).toBeGreaterThan(HOUR_MS / 2);
  expect(watchdogMs).toBeLessThanOrEqual(HOUR_MS + 1_000);
  skippedMs = 2 * HOUR_MS;
  await ended;
});

test("a guard ends with its lease, and only its group may ask it", async () => {
  const { client, ended } = await guard();
  expect(statSync(at("socket")).mode & 0o777).toBe(0o660);
  client.holdLease(leaseOf(HOUR_MS));
  await startBy(client);

  skippedMs = HOUR_MS;

  await ended;
});

test("no daemon is started under a lease that was over before it was asked for, and one is under the next", async () => {
  const { client, ended } = await guard();
  const over = leaseOf(HOUR_MS);
  skippedMs = HOUR_MS;
  client.holdLease(over);

  await expect(startBy(client)).rejects.toThrow("the lease is over");
  expect(asked("systemd-run")).toEqual([]);

  client.holdLease(leaseOf(HOUR_MS));
  await startBy(client);
  expect(asked("systemd-run")).toHaveLength(1);
  skippedMs = 3 * HOUR_MS;
  await ended;
});

test("a start that outlasts the lease under which it was asked for is not carried out under the next", async () => {
  // GIVEN a start that waits for systemd to be told
  const { client, ended } = await guard();
  client.holdLease(leaseOf(HOUR_MS));
  await eventually(async () => (asked("systemd-notify").length > 1 ? true : undefined));
  scratch.write("busy", "");
  const refused = expect(startBy(client)).rejects.toThrow("the lease is over");
  await eventually(async () => (asked("systemd-notify").length > 2 ? true : undefined));

  // WHEN its lease ends, and the guard has heard of another one
  client.holdLease(leaseOf(4 * HOUR_MS));
  await client.forget(recordOf());
  skippedMs = 2 * HOUR_MS;
  rmSync(at("busy"));

  // THEN
  await refused;
  expect(asked("systemd-run")).toEqual([]);
  skippedMs = 5 * HOUR_MS;
  await ended;
});
