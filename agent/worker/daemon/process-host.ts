import { spawn } from "node:child_process";
import { mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { writeFileAtomic } from "../../host/files";
import type { DaemonEnd, DaemonHost, DaemonProcess, DaemonRecord } from "./daemon-host";
import { parseStat, startOf } from "./process-identity";

export interface ProcessHostProps {
  /** The daemon's program and its arguments. */
  readonly command: readonly [string, ...string[]];
  /** Holds one folder per daemon. */
  readonly directory: string;
}

const RECORD = "job.json";
const PROCESS = "process";
const OUTPUT = "output.log";

/** How often a process that is no child of this one is looked at. */
const LOOK_MS = 250;

/**
 * Writes its own pid and start down and becomes the daemon, so that there is no moment at which a daemon runs unrecorded.
 */
const LAUNCHER = `umask 077
{ echo $$; cat /proc/$$/stat 2>/dev/null || LC_ALL=C ps -o lstart= -p $$; } >${PROCESS}.partial
mv ${PROCESS}.partial ${PROCESS}
exec "$@"`;

/** Daemons as plain processes, each the leader of its own group in a folder of its own. */
export function processHost({ command, directory }: ProcessHostProps): DaemonHost {
  return {
    async start({ record, variables }) {
      const folder = join(directory, record.jobId);
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFileAtomic(join(folder, RECORD), JSON.stringify(record), 0o600);
      const output = await open(join(folder, OUTPUT), "a", 0o600);
      try {
        return await launched(record, folder, command, variables, output.fd);
      } finally {
        await output.close();
      }
    },
    async survivors() {
      const alive: DaemonProcess[] = [];
      for (const daemon of await recordedDaemons(directory)) {
        if (startOf(daemon.pid) === daemon.start) alive.push(adopted(daemon));
        else await rm(daemon.folder, { recursive: true, force: true });
      }
      return alive;
    },
  };
}

/** A daemon as its folder tells of it. */
export interface RecordedDaemon {
  readonly record: DaemonRecord;
  readonly folder: string;
  readonly pid: number;
  readonly start: string;
}

/** Every daemon that was started below `directory` and not forgotten, alive or not. */
export async function recordedDaemons(directory: string): Promise<readonly RecordedDaemon[]> {
  const folders = await readdir(directory).catch(() => []);
  const found = await Promise.all(folders.map((name) => readDaemon(join(directory, name)).catch(() => undefined)));
  return found.filter((daemon) => daemon !== undefined);
}

async function readDaemon(folder: string): Promise<RecordedDaemon | undefined> {
  const record = JSON.parse(await readFile(join(folder, RECORD), "utf8")) as DaemonRecord;
  const [pid = "", ...rest] = (await readFile(join(folder, PROCESS), "utf8")).trim().split("\n");
  const told = rest.join("\n");
  const start = told.startsWith(pid) ? parseStat(told) : told.trim();
  return start === undefined ? undefined : { record, folder, pid: Number(pid), start };
}

/** Signals the daemon and its children, if it is still that process. */
export function signalGroup({ pid, start }: Pick<RecordedDaemon, "pid" | "start">, signal: NodeJS.Signals): void {
  if (startOf(pid) !== start) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Gone in the meantime.
  }
}

async function launched(
  record: DaemonRecord,
  folder: string,
  command: readonly string[],
  variables: Readonly<Record<string, string>>,
  output: number,
): Promise<DaemonProcess> {
  const env = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", ...variables };
  const child = spawn("/bin/sh", ["-c", LAUNCHER, "daemon", ...command], {
    cwd: folder,
    env,
    detached: true,
    stdio: ["ignore", output, output],
  });
  child.unref();
  const ended = new Promise<DaemonEnd>((resolve) => {
    child.once("exit", (status, signal) => resolve({ status, signal }));
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => reject(new Error("the daemon did not start", { cause: error })));
  });
  const pid = child.pid ?? 0;
  // Not reaped before its exit was told of, so that the pid is still its own.
  let over = false;
  void ended.then(() => {
    over = true;
  });
  const signal = async (name: NodeJS.Signals) => {
    if (over) return;
    try {
      process.kill(-pid, name);
    } catch {
      // Gone in the meantime.
    }
  };
  return daemonProcess(record, folder, pid, ended, signal);
}

function adopted(daemon: RecordedDaemon): DaemonProcess {
  const { record, folder, pid, start } = daemon;
  const ended = (async () => {
    while (startOf(pid) === start) await pause(LOOK_MS, undefined, { ref: false });
    return { status: null, signal: null };
  })();
  return daemonProcess(record, folder, pid, ended, async (name) => signalGroup(daemon, name));
}

function daemonProcess(
  record: DaemonRecord,
  folder: string,
  pid: number,
  ended: Promise<DaemonEnd>,
  signal: DaemonProcess["signal"],
): DaemonProcess {
  return {
    record,
    ended,
    signal,
    memoryBytes: () => residentBytes(pid),
    lastLines: (count) => lastLines(join(folder, OUTPUT), count),
    forget: () => rm(folder, { recursive: true, force: true }),
  };
}

/** VmRSS of /proc/<pid>/status, which proc(5) gives in kB. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024;
}

const TAIL_BYTES = 64 * 1_024;

/** The last lines of a file, of which at most 64 KiB are read. */
export async function lastLines(path: string, count: number): Promise<readonly string[]> {
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return [];
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    const lines = buffer.toString("utf8", 0, bytesRead).split("\n");
    if (lines.at(-1) === "") lines.pop();
    return lines.slice(start > 0 ? 1 : 0).slice(-count);
  } finally {
    await file.close();
  }
}
