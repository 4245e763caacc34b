import { createHash, type KeyObject } from "node:crypto";
import { chmod, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { run } from "../../host/child";
import { compareVersions } from "../daemon/quirks";
import { linkedFile } from "./linked-program";
import { isSigned, type WantedUpgrade } from "./release-signature";

/** A program that is started through a link into a folder of versions: `<folder>/<version>/<file>`. */
export interface LinkedProgram {
  readonly link: string;
  readonly version: string;
  /**
   * Where versions are installed.
   * @default - the folder of versions that the link points into
   */
  readonly folder?: string;
  /** Starts the file and tells whether it is the version that it should be. */
  readonly probe: (file: string, version: string) => Promise<void>;
}

/** A release's body, as a stream. */
export type FetchRelease = (url: string, signal: AbortSignal) => Promise<Response>;

const MAX_BYTES = 256 * 1_024 * 1_024;
const TIMEOUT_MS = 600_000;
const PROBE_MS = 20_000;

/**
 * Puts a release beside the version that runs, which it leaves alone. Only what is signed, has its checksum and starts is put in place.
 *
 * @returns the path of the new version.
 * @throws Error with what is wrong with the release.
 */
export async function installBeside(
  wanted: WantedUpgrade,
  program: LinkedProgram,
  key: KeyObject,
  fetchRelease: FetchRelease,
): Promise<string> {
  const { version, sha256, url, downgrade } = wanted;
  if (!isSigned(wanted, key)) throw new Error("the signature does not verify");
  if (!/^\w[\w.+-]*$/.test(version)) throw new Error(`${version} is not a version`);
  if (compareVersions(version, program.version) < 0 && !downgrade) {
    throw new Error(`${version} is older than ${program.version}, and the upgrade does not say downgrade`);
  }
  const held = linkedFile(program.link);
  const path = resolve(program.folder ?? dirname(dirname(held)), version, basename(held));
  if (held === path) await requireChecksum(path, sha256, version);
  // Its ending stays: by it Node.js tells what a file is.
  const partial = join(dirname(path), `partial-${basename(path)}`);
  await mkdir(dirname(path), { recursive: true });
  // Whatever the umask: a daemon may run as another user.
  await chmod(dirname(path), 0o755);
  try {
    const actual = await download(url, partial, fetchRelease);
    if (actual !== sha256) throw new Error(`its SHA-256 is ${actual}, expected ${sha256}`);
    await program.probe(partial, version);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  return path;
}

/** @throws Error when the file is another build: once it is overwritten there is nothing to turn back to. */
async function requireChecksum(path: string, sha256: string, version: string): Promise<void> {
  const actual = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  if (actual === sha256) return;
  throw new Error(`${version} runs here already, with the SHA-256 ${actual}: give another build a version of its own`);
}

/** Gives the checksum of what was written. */
async function download(url: string, path: string, fetchRelease: FetchRelease): Promise<string> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetchRelease(url, signal);
  if (!response.ok || !response.body) throw new Error(`it cannot be fetched: ${response.status}`);
  const hash = createHash("sha256");
  const file = await open(path, "w", 0o755);
  let length = 0;
  try {
    for await (const chunk of response.body) {
      signal.throwIfAborted();
      length += chunk.length;
      if (length > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    await file.chmod(0o755);
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

/** Asks the agent's program for its version. */
export async function probeAgent(file: string, version: string): Promise<void> {
  const told = (await run(process.execPath, [file, "--version"], { timeoutMs: PROBE_MS })).trim();
  if (told !== version) throw new Error(`it calls itself ${told.slice(0, 40)}, not ${version}`);
}

/** Statuses with which a shell says that it could not start a program. */
const NOT_STARTED = ["126", "127"];

/** Starts a daemon without a job, which it must refuse by itself: a file that is no program for this machine does not get that far. */
export function probeDaemon(commandOf: (file: string) => readonly string[]): (file: string) => Promise<void> {
  return async (file) => {
    const [program = "", ...args] = commandOf(file);
    const script = 'env -i PATH="$PATH" "$@" >/dev/null 2>&1; echo $?';
    const status = (await run("/bin/sh", ["-c", script, "sh", program, ...args], { timeoutMs: PROBE_MS })).trim();
    if (NOT_STARTED.includes(status) || Number(status) > 128) throw new Error(`it does not start: status ${status}`);
  };
}
