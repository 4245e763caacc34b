import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { DaemonHost, DaemonLaunch, DaemonProcess } from "../../../agent/worker/daemon/daemon-host";
import { guardFiles } from "../../../agent/worker/guard";
import { guarded } from "../../../agent/worker/guard-process";
import { machineInstant, writeLease } from "../../../agent/worker/lease-keeper";
import { useScratch } from "../../support/scratch";
import { eventually } from "../daemon/eventually";

const AGENT = resolve("dist/worker-agent.mjs");
const scratch = useScratch();

test("a guard that left because no lease was valid yet is followed by another", async () => {
  // GIVEN a directory without a lease, so that a guard finds nothing to do
  const directory = scratch.path;
  const files = guardFiles(directory);
  mkdirSync(files.jobs);
  const launches = join(directory, "launches");
  const script = `echo guard >> '${launches}'; exec '${process.execPath}' '${AGENT}' guard --directory '${directory}'`;
  const daemon = {} as DaemonProcess;
  const host: DaemonHost = { survivors: async () => [], start: async () => daemon };
  // WHEN a daemon is to be started, and the lease comes only after the first guard has gone
  const started = guarded(host, directory, ["/bin/sh", "-c", script]).start({} as DaemonLaunch);
  started.catch(() => undefined);
  await eventually("a second guard", async () => {
    expect(existsSync(launches) ? readFileSync(launches, "utf8").split("\n") : []).toContain("guard");
    if (readFileSync(launches, "utf8").trim().split("\n").length < 2) throw new Error("one guard, so far");
  });
  writeLease(files.lease, { sentAt: machineInstant(), leaseMs: 3_600_000 });
  // THEN the daemon is started under a guard's eyes
  try {
    expect(await started).toBe(daemon);
  } finally {
    await eventually("the guard is known", async () => {
      process.kill(JSON.parse(readFileSync(files.guard, "utf8")).pid, "SIGKILL");
    });
  }
}, 60_000);
