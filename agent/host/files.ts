import { readFileSync } from "node:fs";
import { mkdir, open, rename, rm, symlink } from "node:fs/promises";
import { dirname } from "node:path";

/** The text of a file. */
export const readText = (path: string): string => readFileSync(path, "utf8");

/**
 * What `read` finds at a path; undefined where there is nothing.
 *
 * @param next what to do about one that cannot be read.
 * @throws Error naming the path when there is something, or may be, that cannot be read: what it says is not known then.
 */
export function unlessMissing<T>(path: string, read: (path: string) => T, next: string): T | undefined {
  try {
    return read(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new Error(`${path} cannot be read: ${next}`, { cause: error });
  }
}

/**
 * Writes a file so that a reader, or a power cut, sees the old content or the new one and nothing between.
 * Missing parent directories are made (mode 0755).
 *
 * @param mode permission bits of the file, whatever the umask.
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const partial = `${path}.${process.pid}.partial`;
  try {
    const file = await open(partial, "w", 0o600);
    try {
      await file.writeFile(content);
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Points a symbolic link at `target` in one step: at no moment is the link missing. */
export async function replaceSymlink(target: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const partial = `${path}.${process.pid}.partial`;
  await rm(partial, { force: true });
  await symlink(target, partial);
  await rename(partial, path);
  await syncDirectory(dirname(path));
}

/** Makes renames in a directory durable: fsync(2), "Calling fsync() does not necessarily ensure that the entry in the directory …". */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
