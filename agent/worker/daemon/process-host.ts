import { spawn } from "node:child_process";
import { closeSync, readFileSync, writeFileSync } from "node:fs";
import { type FileHandle, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { readText, unlessMissing, writeFileAtomic } from "../../host/files";
import { GuardedLease } from "../guard-lease";
import { type HandedLease, machineInstant } from "../lease-keeper";
import { type DaemonFolder, daemonFolders, makeDaemonFolder, RECORD, UNREADABLE } from "./daemon-folders";
import type { DaemonEnd, DaemonHost, DaemonLaunch, DaemonProcess } from "./daemon-host";
import { capOutput, lastLines } from "./daemon-output";
import { secretsOf } from "./daemon-secrets";
import { PRIVATE_KEY_FILE } from "./environment";
import { LEASH, makeLeash, tellLeash } from "./leash";
import { NICENESS, yieldAsSession } from "./niceness";
import { mayLive, type ProcessIdentity, parseStat, startOf } from "./process-identity";
import { residentBytes } from "./resident-memory";

export interface ProcessHostProps {
  /** The daemon's program and its arguments. */
  readonly command: readonly [string, ...string[]];
  /** Holds one folder per daemon. */
  readonly directory: string;
}

/** Daemons as plain processes. */
export interface ProcessHost extends DaemonHost {
  /** Daemons that may not outlive the lease run until its end, however the agent fares. */
  holdLease(lease: HandedLease): void;
}

const PROCESS = "process";
const OUTPUT = "output.log";
const PIPE = "leash";

const LAUNCH_MS = 60_000;

/** How often a process that is no child of this one is looked at. */
const LOOK_MS = 250;
/** How often the size of the daemons' output is looked at. */
const OUTPUT_LOOK_MS = 5_000;

/**
 * Writes its own pid and start down and becomes the daemon, so that there is no moment at which a daemon runs unrecorded, or
 * without its leash where there is to be one. What cannot be written down ends with EX_CANTCREAT of sysexits.h; so does what a later
 * life of the agent has come before (ln(1) replaces nothing). A core would hold the daemon's credentials: for the limit of one byte see
 * `HARDENING`.
 */
const LAUNCHER = `umask 077
prlimit --pid=$$ --core=1 2>/dev/null || ulimit -c 0
{ echo $$ && { cat /proc/$$/stat 2>/dev/null || LC_ALL=C ps -o lstart= -p $$; }; } >${PROCESS}.partial &&
ln ${PROCESS}.partial ${PROCESS} || exit 73
if [ -p ${PIPE} ]; then
${LEASH}
fi
exec nice -n ${NICENESS} "$@" 3<&-`;

/** Daemons as plain processes, each the leader of its own group in a folder of its own. Needs bash. */
export function processHost({ command, directory }: ProcessHostProps): ProcessHost {
  const lease = new GuardedLease(machineInstant);
  const folders = new Set<string>();
  const caring = setInterval(() => {
    for (const folder of folders) void capOutput(join(folder, OUTPUT)).catch(() => {});
  }, OUTPUT_LOOK_MS);
  caring.unref();
  const cared = (folder: string, daemon: DaemonProcess): DaemonProcess => {
    folders.add(folder);
    return {
      ...daemon,
      forget: async () => {
        folders.delete(folder);
        tellLeash(join(folder, PIPE), 0);
        await daemon.forget();
      },
    };
  };
  return {
    holdLease(newest) {
      lease.hold(newest);
      for (const folder of folders) tellLeash(join(folder, PIPE), lease.remainingMs());
    },
    async start(launch) {
      const checkLease = () => {
        if (lease.remainingMs() <= 0) throw new Error("the lease is over");
      };
      checkLease();
      const folder = await makeDaemonFolder(directory, launch.record);
      // From here on a newer lease is told to the leash, as soon as there is one.
      folders.add(folder);
      const bound = launch.record.onDisconnect === "stop";
      let pipe: number | undefined;
      let output: FileHandle | undefined;
      try {
        if (bound) pipe = await makeLeash(join(folder, PIPE), () => lease.remainingMs());
        output = await open(join(folder, OUTPUT), "a", 0o600);
        checkLease();
        return cared(folder, await launched(launch, folder, command, [output.fd, pipe ?? "ignore"]));
      } catch (error) {
        folders.delete(folder);
        // Nothing runs, and what it would have been given is not left behind.
        await rm(folder, { recursive: true, force: true });
        throw error;
      } finally {
        await output?.close();
        if (pipe !== undefined) closeSync(pipe);
      }
    },
    async survivors() {
      const alive: DaemonProcess[] = [];
      for (const folder of daemonFolders(directory)) {
        const daemon = readDaemon(folder) ?? keptFromRunning(folder);
        if (daemon && mayLive(daemon)) alive.push(cared(daemon.folder, adopted(daemon)));
        // What cannot be removed is tried again by the agent's next life.
        else await (daemon ? removed(folder) : emptied(folder)).catch(() => {});
      }
      return alive;
    },
  };
}

/** A daemon as its folder tells of it. */
export interface RecordedDaemon extends DaemonFolder {
  readonly pid: number;
  readonly start: string;
}

/** Every daemon that was started below `directory` and not forgotten, alive or not. @throws Error when one cannot be read. */
export function recordedDaemons(directory: string): readonly RecordedDaemon[] {
  return daemonFolders(directory)
    .map(readDaemon)
    .filter((daemon) => daemon !== undefined);
}

function readDaemon({ record, folder }: DaemonFolder): RecordedDaemon | undefined {
  const text = unlessMissing(join(folder, PROCESS), readText, UNREADABLE);
  if (text === undefined) return undefined;
  const [pid = "", ...rest] = text.trim().split("\n");
  const told = rest.join("\n");
  const start = told.startsWith(pid) ? parseStat(told) : told.trim();
  return start === undefined ? undefined : { record, folder, pid: Number(pid), start };
}

const removed = ({ folder }: DaemonFolder) => rm(folder, { recursive: true, force: true });

/**
 * Removes all that was for a daemon that is kept from running. What stands in its launcher's way stays for longer than that takes to come
 * there: a later life of the agent removes it.
 */
async function emptied(kept: DaemonFolder): Promise<void> {
  const { mtimeMs } = await stat(join(kept.folder, PROCESS));
  if (Date.now() - mtimeMs > LAUNCH_MS) return await removed(kept);
  for (const name of await readdir(kept.folder)) {
    if (name !== PROCESS && name !== RECORD) await rm(join(kept.folder, name), { recursive: true, force: true });
  }
}

/** Takes the place of what the launcher would write down, which then does not become the daemon. @returns the daemon where it came first. */
function keptFromRunning(folder: DaemonFolder): RecordedDaemon | undefined {
  try {
    writeFileSync(join(folder.folder, PROCESS), "", { flag: "wx", mode: 0o600 });
    return undefined;
  } catch {
    return readDaemon(folder);
  }
}

/** Signals the daemon and its children, if it is still that process. @throws Error when the system does not say. */
function signalGroup({ pid, start }: ProcessIdentity, signal: NodeJS.Signals): void {
  if (startOf(pid) === start) signalEach(pid, signal);
}

/** Signals what there is of a leader's process group. */
function signalEach(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch {
    // Gone in the meantime.
  }
}

async function launched(
  launch: DaemonLaunch,
  folder: string,
  command: readonly string[],
  [output, pipe]: readonly [output: number, pipe: number | "ignore"],
): Promise<DaemonProcess> {
  const { record, variables, files } = launch;
  const env: Record<string, string> = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", ...variables };
  for (const [name, content] of Object.entries(files)) {
    env[name] = join(folder, name);
    await writeFileAtomic(join(folder, name), content, 0o400);
  }
  const child = unquoted(() =>
    spawn("bash", ["-c", LAUNCHER, "daemon", ...command], {
      cwd: folder,
      env,
      detached: true,
      stdio: ["ignore", output, output, pipe],
    }),
  );
  child.unref();
  const ended = new Promise<DaemonEnd>((resolve) => {
    child.once("exit", (status, signal) => {
      // What it has started may hold the job's connections, and the job goes on elsewhere once this end is told.
      if (child.pid !== undefined) signalEach(child.pid, "SIGKILL");
      resolve({ status, signal });
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => reject(new Error("the daemon did not start", { cause: error })));
  });
  const pid = child.pid ?? 0;
  // Not reaped before its exit was told of, so that the pid is still its own.
  const over = new AbortController();
  void ended.then(() => over.abort());
  void yieldAsSession(pid, over.signal);
  const signal = async (name: NodeJS.Signals) => {
    if (!over.signal.aborted) signalEach(pid, name);
  };
  return daemonProcess({ record, folder, pid }, secretsOf(launch), ended, signal);
}

/** @throws Error with the code alone of what `spawn` throws: its message may quote a variable's value, whole or in part. */
function unquoted<T>(spawning: () => T): T {
  try {
    return spawning();
  } catch (error) {
    throw new Error(`the daemon did not start: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function adopted(daemon: RecordedDaemon): DaemonProcess {
  const { pid } = daemon;
  const ended = (async () => {
    while (mayLive(daemon)) await pause(LOOK_MS, undefined, { ref: false });
    endLeftOf(pid);
    return { status: null, signal: null };
  })();
  return daemonProcess(daemon, secretsLeft(pid), ended, async (name) => signalGroup(daemon, name));
}

/** Ends what a leader has left in its group, unless its number is another process's by now: a group's that has members is not given out again. */
function endLeftOf(leader: number): void {
  try {
    if (startOf(leader) === undefined) signalEach(leader, "SIGKILL");
  } catch {
    // What the system does not tell is left alone.
  }
}

/** Of a daemon that another life of the agent has started: what it was given stands in its environment, where the system shows that. */
function secretsLeft(pid: number): readonly string[] {
  try {
    const variables: Readonly<Record<string, string>> = Object.fromEntries(
      readFileSync(`/proc/${pid}/environ`, "utf8")
        .split("\0")
        .map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)]),
    );
    const keyFile = variables[PRIVATE_KEY_FILE];
    return secretsOf({ variables, files: keyFile ? { [PRIVATE_KEY_FILE]: readFileSync(keyFile, "utf8") } : {} });
  } catch {
    return [];
  }
}

function daemonProcess(
  { record, folder, pid }: Pick<RecordedDaemon, "record" | "folder" | "pid">,
  secrets: readonly string[],
  ended: Promise<DaemonEnd>,
  signal: DaemonProcess["signal"],
): DaemonProcess {
  return {
    record,
    secrets,
    ended,
    signal,
    memoryBytes: () => residentBytes(pid),
    lastLines: (count) => lastLines(join(folder, OUTPUT), count),
    forget: () => rm(folder, { recursive: true, force: true }),
  };
}
