import { EventEmitter, once } from "node:events";
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { unitName } from "../../../agent/worker/daemon/daemon-unit";
import type { StartRequest } from "../../../agent/worker/guard-protocol";
import { GuardedUnits } from "../../../agent/worker/guarded-units";
import { eventually } from "../../support/eventually";
import { useScratch } from "../../support/scratch";
import { recordOf } from "./daemon/daemon-record";

const scratch = useScratch();
const path = process.env["PATH"];
afterEach(() => {
  process.env["PATH"] = path;
});

const BOOTED = "booted";
const at = (name: string) => join(scratch.path, name);

/** Puts a systemd on PATH that writes down what it did, and starts nothing until it has booted. */
function slowSystemd(): void {
  const done = `echo "$(basename "$0") $1" >>"${at("did")}"`;
  const programs = {
    "systemd-run": `: >"${at("asked")}"; until [ -e "${at(BOOTED)}" ]; do sleep 0.02; done; ${done}`,
    systemctl: done,
  };
  for (const [name, text] of Object.entries(programs)) {
    chmodSync(scratch.write(join("bin", name), `#!/bin/sh\n${text}\n`), 0o755);
  }
  process.env["PATH"] = `${at("bin")}:${path}`;
}

const did = () => (existsSync(at("did")) ? readFileSync(at("did"), "utf8").trim().split("\n") : []);

const startOf = (fence: number): StartRequest => ({
  kind: "start",
  jobId: recordOf().jobId,
  fence,
  lease: { sentAt: { monotonicMs: 0, wallMs: 0 }, leaseMs: 60_000 },
  bound: false,
  variables: {},
  files: {},
  limits: { memoryBytes: 1, cpuPercent: 100 },
});

const guarded = () => new GuardedUnits({ directory: at("guard"), daemon: () => "/bin/true" });
const admitted = async () => {};

test("a daemon that is still being started is ended once it is there, not before", async () => {
  // GIVEN a start that systemd has not carried out when its daemon is to be forgotten
  slowSystemd();
  const units = guarded();
  const request = startOf(1);
  const started = units.start(request, admitted);
  await eventually(async () => (existsSync(at("asked")) ? true : undefined));

  // WHEN
  const forgotten = units.forget(request);
  const other = units.forget(startOf(2));

  // THEN another daemon's unit does not wait for it
  await other;
  expect(did()).toEqual(["systemctl stop", "systemctl reset-failed"]);
  scratch.write(BOOTED, "");
  await Promise.all([started, forgotten]);
  expect(did().slice(2)).toEqual(["systemd-run --quiet", "systemctl stop", "systemctl reset-failed"]);
});

test("a daemon that waits for the guard's word to systemd before its start is waited for as well", async () => {
  slowSystemd();
  scratch.write(BOOTED, "");
  const units = guarded();
  const request = startOf(1);
  const word = new EventEmitter();

  const started = units.start(request, async () => void (await once(word, "given")));
  const forgotten = units.forget(request);
  word.emit("given");

  await Promise.all([started, forgotten]);
  expect(did()).toEqual(["systemd-run --quiet", "systemctl stop", "systemctl reset-failed"]);
});

test("what a start that fails leaves is forgotten after it", async () => {
  slowSystemd();
  const units = guarded();
  const request = startOf(1);
  const word = new EventEmitter();

  const started = units.start(request, async () => void (await once(word, "given")));
  const forgotten = units.forget(request);
  word.emit("error", new Error("the lease is over"));

  await expect(started).rejects.toThrow("the lease is over");
  await forgotten;
  expect(did()).toEqual(["systemctl stop", "systemctl reset-failed"]);
});

test("the daemons' secrets are told once every start that was asked for before is over: then its unit is there, or never will be", async () => {
  slowSystemd();
  const units = guarded();
  const request = { ...startOf(1), variables: { SINK_PASSWORD: "canary" } };
  const started = units.start(request, admitted);
  await eventually(async () => (existsSync(at("asked")) ? true : undefined));

  const told = units.secrets().then((secrets) => ({ secrets, did: did() }));
  scratch.write(BOOTED, "");

  expect(await told).toEqual({ secrets: { [unitName(request)]: ["canary"] }, did: ["systemd-run --quiet"] });
  await started;
});

test("a daemon's credentials are there for systemd alone, and for no longer than it takes the start", async () => {
  slowSystemd();
  const units = guarded();
  const request = { ...startOf(1), variables: { SINK_PASSWORD: "canary" }, files: { KEY_PATH: "canary" } };
  const written = () => readdirSync(at("guard")).sort();
  const started = units.start(request, admitted);
  await eventually(async () => (existsSync(at("asked")) ? true : undefined));

  expect(written()).toEqual(["KEY_PATH", "environment"].map((name) => `${unitName(request)}.${name}`));
  for (const name of written()) expect(statSync(join(at("guard"), name)).mode & 0o777).toBe(0o400);
  scratch.write(BOOTED, "");
  await started;

  expect(written()).toEqual([]);
});
