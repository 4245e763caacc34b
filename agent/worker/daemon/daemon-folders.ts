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

/** Every folder below `directory` that has a record. */
export async function daemonFolders(directory: string): Promise<readonly DaemonFolder[]> {
  const names = await readdir(directory).catch(() => []);
  const found = await Promise.all(names.map((name) => readFolder(join(directory, name)).catch(() => undefined)));
  return found.filter((folder) => folder !== undefined);
}

async function readFolder(folder: string): Promise<DaemonFolder> {
  return { folder, record: JSON.parse(await readFile(join(folder, RECORD), "utf8")) as DaemonRecord };
}
