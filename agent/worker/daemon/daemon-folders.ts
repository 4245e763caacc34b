import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../host/files";
import type { DaemonRecord } from "./daemon-host";

const RECORD = "job.json";

/** A daemon's folder, with what stays known of it when the agent ends. */
export interface DaemonFolder {
  readonly record: DaemonRecord;
  readonly folder: string;
}

/** Makes the daemon's folder below `directory`, empty but for its record. */
export async function makeDaemonFolder(directory: string, record: DaemonRecord): Promise<string> {
  const folder = join(directory, record.jobId);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFileAtomic(join(folder, RECORD), JSON.stringify(record), 0o600);
  return folder;
}

/**
 * Every folder below `directory` that has a record.
 *
 * @throws Error when one cannot be read: a daemon that may be alive would be missed.
 */
export async function daemonFolders(directory: string): Promise<readonly DaemonFolder[]> {
  const names = (await unlessMissing(readdir(directory))) ?? [];
  const found = await Promise.all(names.map((name) => unlessMissing(readFolder(join(directory, name)))));
  return found.filter((folder) => folder !== undefined);
}

/** What is read of a file or folder; undefined where there is none. */
export async function unlessMissing<T>(read: Promise<T>): Promise<T | undefined> {
  return await read.catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });
}

async function readFolder(folder: string): Promise<DaemonFolder | undefined> {
  const text = await readFile(join(folder, RECORD), "utf8");
  try {
    return { folder, record: JSON.parse(text) as DaemonRecord };
  } catch {
    // Nothing that another attempt would tell better.
    return undefined;
  }
}
