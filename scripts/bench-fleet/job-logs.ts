import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Bench, Measurement } from "../bench/bench";
import { until } from "../chaos/until";
import { untilEnded } from "../until-ended";
import { usageOf } from "./usage";

const JOBS = 40;
/** Of each daemon: one that has nothing to tell, one that tells of batches, one that tells of each row. */
const LINES_PER_SECOND = [1, 10, 100];
const MESSAGE_BYTES = 160;
const SETTLE_MS = 3_000;
const WINDOW_MS = 10_000;
const PATIENCE_MS = 60_000;

/** The agent's part that copies, as a program of its own. Each daemon has secrets that must not be in the copy. */
const COPIER = `const { JobLogs } = require("./agent/worker/daemon/job-logs.ts");
const [directory, journalctl] = process.argv.slice(1);
const logs = new JobLogs({ directory, cursorFile: directory + ".cursor", journalctl }, { warn: console.error });
const survivor = (_, n) => ({
  record: { jobId: "00000000-0000-4000-8000-" + String(n).padStart(12, "0"), fence: 1 },
  secrets: ["source-password-" + n, "sink-password-" + n],
  ended: new Promise(() => {}),
});
void logs.followUntil(new Promise(() => {}));
void logs.of({ survivors: async () => Array.from({ length: ${JOBS} }, survivor) }).survivors();
setInterval(() => {}, 60_000);`;

/** Says what journalctl(1) says of as many daemons, ten times a second. */
const journalOf = (linesPerSecond: number) => `#!${process.execPath}
let number = 0;
const message = "x".repeat(${MESSAGE_BYTES});
const entry = (job) => JSON.stringify({
  __CURSOR: "s=8b1f4f0f8a6e4b0c9d3e2f1a0b9c8d7e;i=" + ++number + ";b=1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f;m=1f2e3d4c5b;t=61f2e3d4c5b6a;x=9a8b7c6d5e4f3a2b",
  __REALTIME_TIMESTAMP: String(Date.now() * 1000),
  __MONOTONIC_TIMESTAMP: String(Math.round(performance.now() * 1000)),
  _BOOT_ID: "1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f",
  _SYSTEMD_UNIT: "holdfast-job-00000000-0000-4000-8000-" + String(job).padStart(12, "0") + "-1.service",
  MESSAGE: message,
}) + "\\n";
let due = 0;
setInterval(() => {
  let text = "";
  for (due += ${(JOBS * linesPerSecond) / 10}; due >= 1; due--) text += entry(number % ${JOBS});
  process.stdout.write(text);
}, 100);
`;

/** What it costs the agent to copy what its daemons say for the CloudWatch agent. */
export const jobLogs: Bench = {
  name: "job-logs",
  about: `what the copy of the output of ${JOBS} daemons costs the agent beside its other work, without journald and journalctl`,
  run: async () => {
    const rows: Measurement[] = [];
    for (const rate of [0, ...LINES_PER_SECOND]) rows.push(await copying(rate));
    return rows;
  },
};

async function copying(linesPerSecond: number): Promise<Measurement> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  const [copies, journalctl] = [join(directory, "copies"), join(directory, "journalctl")];
  mkdirSync(copies);
  writeFileSync(journalctl, journalOf(linesPerSecond), { mode: 0o755 });
  const args = ["--require", "tsx/cjs", "--eval", COPIER, copies, journalctl];
  const copier = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  const end = untilEnded(() => {
    copier.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  });
  const copied = () => readdirSync(copies).reduce((bytes, name) => bytes + statSync(join(copies, name)).size, 0);
  try {
    if (linesPerSecond > 0) await until("it copies", PATIENCE_MS, async () => (copied() > 0 ? true : undefined));
    await pause(SETTLE_MS);
    const before = { ...usageOf(copier.pid ?? 0), bytes: copied() };
    await pause(WINDOW_MS);
    const after = { ...usageOf(copier.pid ?? 0), bytes: copied() };
    return {
      case: `${linesPerSecond} lines a second of each`,
      figures: {
        "KiB/s copied": (after.bytes - before.bytes) / 1_024 / (WINDOW_MS / 1_000),
        "CPU ms/s": ((after.cpuMs - before.cpuMs) * 1_000) / WINDOW_MS,
        "RSS MiB": after.residentMiB,
      },
    };
  } finally {
    end();
  }
}
