import { readdirSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { readText, unlessMissing, writeFileAtomic } from "../../host/files";
import type { DaemonRecord } from "./daemon-host";

/** File that holds what stays known of a daemon. */
export const RECORD = "job.json";

/** What to do about a file that tells of a daemon and cannot be read. */
export const UNREADABLE = "make it readable and start the agent again, which takes up the daemons that live";

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
export function daemonFolders(directory: string): readonly DaemonFolder[] {
  const names = unlessMissing(directory, (path) => readdirSync(path), UNREADABLE) ?? [];
  return names.map((name) => readFolder(join(directory, name))).filter((folder) => folder !== undefined);
}

function readFolder(folder: string): DaemonFolder | undefined {
  const text = unlessMissing(join(folder, RECORD), readText, UNREADABLE);
  if (text === undefined) return undefined;
  try {
    return { folder, record: JSON.parse(text) as DaemonRecord };
  } catch {
    // Nothing that another attempt would tell better.
    return undefined;
  }
}
