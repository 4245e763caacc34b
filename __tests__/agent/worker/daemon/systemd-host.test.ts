import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DeadlineError } from "../../../../agent/host/waiting";
import type { DaemonRecord } from "../../../../agent/worker/daemon/daemon-host";
import { unitName } from "../../../../agent/worker/daemon/daemon-unit";
import { systemdHost } from "../../../../agent/worker/daemon/systemd-host";
import type { GuardClient } from "../../../../agent/worker/guard-client";
import { UNKNOWN_REQUEST } from "../../../../agent/worker/guard-protocol";
import { useScratch } from "../../../support/scratch";
import { recordOf } from "./daemon-record";

const scratch = useScratch();
const path = process.env["PATH"];
afterEach(() => {
  process.env["PATH"] = path;
});

/** Puts a systemctl on PATH that gives one answer after the other, and fails where it has none. */
function systemctlAnswers(answers: readonly (string | undefined)[]): void {
  const directory = mkdtempSync(join(scratch.path, "bin-"));
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

/** What systemctl says of a daemon that runs as this process. */
const running = (record: DaemonRecord): string =>
  `Id=${unitName(record)}\nExecMainPID=${process.pid}\nActiveState=active\nSubState=running\nExecMainCode=0\nExecMainStatus=0\n`;

const LIMITS = { memoryBytes: 1, cpuPercent: 100 };
test("a daemon of which nobody knows whether it was started is ended before its start is said to have failed", async () => {
  // GIVEN a guard that does not answer to a start, and is away for a moment
  const asked: string[] = [];
  const guard: GuardClient = {
    ...GUARD,
    start: async () => {
      throw new Error("the guard ended before it answered to start");
    },
    forget: async ({ jobId }) => {
      asked.push(jobId);
      if (asked.length < 3) throw new Error("the guard is away");
    },
  };
  const directory = join(scratch.path, "jobs");
  const record = recordOf({ snapshotOnly: true });

  // WHEN
  const started = systemdHost({ directory, guard, limits: LIMITS }).start({ record, variables: {}, files: {} });

  // THEN
  await expect(started).rejects.toThrow("the guard ended before it answered to start");
  expect(asked).toEqual(Array(3).fill(record.jobId));
  expect(readdirSync(directory)).toEqual([]);
});

test("a daemon that was still being started when the agent died is taken up: the guard knows when its unit is there", async () => {
  const record = recordOf();
  const directory = join(scratch.path, "jobs");
  scratch.write(`jobs/${record.jobId}/job.json`, JSON.stringify(record));
  systemctlAnswers([""]);
  const guard: GuardClient = {
    ...GUARD,
    secrets: async () => {
      systemctlAnswers([running(record)]);
      return { [unitName(record)]: ["canary"] };
    },
  };

  const found = await systemdHost({ directory, guard, limits: LIMITS }).survivors();

  expect(found.map(({ record, secrets }) => ({ record, secrets }))).toEqual([{ record, secrets: ["canary"] }]);
});

test("a daemon of which nothing is kept is ended: nobody would know what it is for", async () => {
  const { jobId, fence, ...kept } = recordOf();
  systemctlAnswers([running({ jobId, fence, ...kept })]);
  const forgotten: unknown[] = [];
  const guard: GuardClient = { ...GUARD, forget: async (ref) => void forgotten.push(ref) };

  expect(await systemdHost({ directory: join(scratch.path, "jobs"), guard, limits: LIMITS }).survivors()).toEqual([]);

  expect(forgotten).toEqual([{ jobId, fence }]);
});

test("a daemon that lives is taken up although what an ended one has left cannot be removed", async () => {
  const [alive, ended] = [recordOf({ snapshotOnly: true }), recordOf({ snapshotOnly: true })];
  const directory = join(scratch.path, "jobs");
  for (const record of [ended, alive]) scratch.write(`jobs/${record.jobId}/job.json`, JSON.stringify(record));
  systemctlAnswers([running(alive)]);
  const guard: GuardClient = {
    ...GUARD,
    forget: async () => {
      throw new Error("the unit does not end");
    },
  };

  const found = await systemdHost({ directory, guard, limits: LIMITS }).survivors();

  expect(found.map(({ record }) => record)).toEqual([alive]);
});

test("R30: a hundred daemons are found with one question to the guard and one to systemd, and what others have left is removed side by side", async () => {
  // GIVEN a guard that is done with none until it was asked for all
  const records = Array.from({ length: 150 }, () => recordOf({ snapshotOnly: true }));
  const [alive, left] = [records.slice(0, 100), records.slice(100)];
  const directory = join(scratch.path, "jobs");
  for (const record of records) scratch.write(`jobs/${record.jobId}/job.json`, JSON.stringify(record));
  systemctlAnswers([alive.map(running).join("\n")]);
  const questions: string[] = [];
  const all = new EventEmitter();
  const asked = once(all, "asked");
  const guard: GuardClient = {
    ...GUARD,
    secrets: async () => {
      questions.push("secrets");
      return {};
    },
    forget: async ({ jobId }) => {
      if (questions.push(jobId) > left.length) all.emit("asked");
      await asked;
    },
  };

  // WHEN
  const found = await systemdHost({ directory, guard, limits: LIMITS }).survivors();

  // THEN systemctl has no second answer
  expect(found.map(({ record }) => record.jobId).sort()).toEqual(alive.map(({ jobId }) => jobId).sort());
  expect(questions.slice(1).sort()).toEqual(left.map(({ jobId }) => jobId).sort());
});

test("a guard of an earlier version, which cannot tell its daemons' secrets, is asked nothing else for them", async () => {
  const record = recordOf();
  scratch.write(`jobs/${record.jobId}/job.json`, JSON.stringify(record));
  systemctlAnswers([running(record)]);
  const guard = { ...GUARD, secrets: () => Promise.reject(new Error(`${UNKNOWN_REQUEST}: kind`)) };

  const found = await systemdHost({ directory: join(scratch.path, "jobs"), guard, limits: LIMITS }).survivors();

  expect(found.map(({ record, secrets }) => ({ record, secrets }))).toEqual([{ record, secrets: [] }]);
});

test("while a guard does not say that no start is under way, nobody goes on as if it had: what it starts would be nobody's", async () => {
  const record = recordOf();
  scratch.write(`jobs/${record.jobId}/job.json`, JSON.stringify(record));
  systemctlAnswers([running(record)]);
  const guard = { ...GUARD, secrets: () => Promise.reject(new DeadlineError("ask the guard: not within 60 s")) };

  const found = systemdHost({ directory: join(scratch.path, "jobs"), guard, limits: LIMITS }).survivors();

  await expect(found).rejects.toThrow("ask the guard");
});

test("a daemon's end that systemd did not tell when it was first asked is told when it is asked again", async () => {
  // GIVEN a daemon that runs, and a systemd that fails to say once how it ended
  const record = recordOf({ snapshotOnly: true });
  const child = spawn("sleep", ["600"], { stdio: "ignore" });
  await once(child, "spawn");
  const told = (state: string) => `Id=${unitName(record)}\nExecMainPID=${child.pid}\n${state}\n`;
  systemctlAnswers([
    told("ActiveState=active\nSubState=running\nExecMainCode=0\nExecMainStatus=0"),
    undefined,
    told("ActiveState=active\nSubState=exited\nExecMainCode=1\nExecMainStatus=0"),
  ]);
  const host = systemdHost({ directory: join(scratch.path, "jobs"), guard: GUARD, limits: LIMITS });
  const daemon = await host.start({ record, variables: {}, files: {} });

  // WHEN it ends
  child.kill("SIGKILL");

  // THEN
  expect(await daemon.ended).toEqual({ status: 0, signal: null });
});

test("what a daemon that has ended well has left running in its unit, which systemd lets be, is ended before its end is told", async () => {
  const record = recordOf({ snapshotOnly: true });
  const child = spawn("sleep", ["600"], { stdio: "ignore" });
  await once(child, "spawn");
  const told = (state: string) => `Id=${unitName(record)}\nExecMainPID=${child.pid}\n${state}\n`;
  systemctlAnswers([
    told("ActiveState=active\nSubState=running\nExecMainCode=0\nExecMainStatus=0"),
    told("ActiveState=active\nSubState=exited\nExecMainCode=1\nExecMainStatus=0"),
  ]);
  const order: string[] = [];
  const guard: GuardClient = { ...GUARD, signal: async ({ jobId }, name) => void order.push(`${name} ${jobId}`) };
  const host = systemdHost({ directory: join(scratch.path, "jobs"), guard, limits: LIMITS });
  const daemon = await host.start({ record, variables: {}, files: {} });

  child.kill("SIGKILL");
  await daemon.ended.then(() => order.push("told"));

  expect(order).toEqual([`SIGKILL ${record.jobId}`, "told"]);
});
