import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DaemonRecord } from "../../../../agent/worker/daemon/daemon-host";
import { unitName } from "../../../../agent/worker/daemon/daemon-unit";
import { systemdHost } from "../../../../agent/worker/daemon/systemd-host";
import type { GuardClient } from "../../../../agent/worker/guard-client";
import { useScratch } from "../../../support/scratch";

const scratch = useScratch();
const path = process.env["PATH"];
afterEach(() => {
  process.env["PATH"] = path;
});

/** Puts a systemctl on PATH that gives one answer after the other, and fails where it has none. */
function systemctlAnswers(answers: readonly (string | undefined)[]): void {
  const directory = join(scratch.path, "bin");
  mkdirSync(directory);
  const script = `#!/bin/sh
cd ${directory}
number=$(($(cat asked 2>/dev/null || echo 0) + 1))
echo $number >asked
cat answer-$number 2>/dev/null && exit
echo "Failed to get properties: Connection timed out" >&2
exit 1
`;
  writeFileSync(join(directory, "systemctl"), script, { mode: 0o755 });
  for (const [at, answer] of answers.entries()) {
    if (answer !== undefined) writeFileSync(join(directory, `answer-${at + 1}`), answer);
  }
  process.env["PATH"] = `${directory}:${path}`;
}

const GUARD: GuardClient = {
  holdLease: () => {},
  start: async () => {},
  secrets: async () => ({}),
  signal: async () => {},
  forget: async () => {},
};

test("a daemon's end that systemd did not tell when it was first asked is told when it is asked again", async () => {
  // GIVEN a daemon that runs, and a systemd that fails to say once how it ended
  const record: DaemonRecord = {
    jobId: randomUUID(),
    fence: 1,
    name: "orders",
    onDisconnect: "stop",
    port: 1,
    slotName: "slot",
    tables: ["orders"],
    flushIntervalMs: 50,
    snapshotOnly: true,
    seq: -1,
  };
  const child = spawn("sleep", ["600"], { stdio: "ignore" });
  await once(child, "spawn");
  const told = (state: string) => `Id=${unitName(record)}\nExecMainPID=${child.pid}\n${state}\n`;
  systemctlAnswers([
    told("ActiveState=active\nSubState=running\nExecMainCode=0\nExecMainStatus=0"),
    undefined,
    told("ActiveState=active\nSubState=exited\nExecMainCode=1\nExecMainStatus=0"),
  ]);
  const limits = { memoryBytes: 1, cpuPercent: 100 };
  const host = systemdHost({ directory: join(scratch.path, "jobs"), guard: GUARD, limits });
  const daemon = await host.start({ record, variables: {}, files: {} });

  // WHEN it ends
  child.kill("SIGKILL");

  // THEN
  expect(await daemon.ended).toEqual({ status: 0, signal: null });
});
