import { copyFile, open, readdir, rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";

/** Beyond it the output begins anew; what was before is kept once. */
const CAP_BYTES = 10 * 1_024 * 1_024;
const TAIL_BYTES = 64 * 1_024;

const previous = (path: string) => `${path}.1`;

/** Keeps a file that a process appends to from growing on: it is copied and cut, since the process holds it open. */
export async function capOutput(path: string, capBytes = CAP_BYTES): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= capBytes) return;
  // Also where the disk has no room for a copy: what was said is worth less than the room.
  await copyFile(path, previous(path)).finally(() => truncate(path, 0));
}

/** Removes files that nobody wrote to for `keptMs`, and the oldest of the others as long as they take more than `maxBytes`. */
export async function boundFolder(directory: string, bound: { keptMs: number; maxBytes: number }): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      const { mtimeMs, size } = await stat(path);
      return { path, mtimeMs, size };
    }),
  );
  let bytes = 0;
  for (const { path, mtimeMs, size } of files.sort((one, other) => other.mtimeMs - one.mtimeMs)) {
    bytes += size;
    if (bytes > bound.maxBytes || Date.now() - mtimeMs > bound.keptMs) await rm(path);
  }
}

/** The last lines of the output, of which at most 64 KiB are read, those before the last cut included. */
export async function lastLines(path: string, count: number): Promise<readonly string[]> {
  const lines = await tail(path);
  if (lines.length >= count) return lines.slice(-count);
  return [...(await tail(previous(path))), ...lines].slice(-count);
}

async function tail(path: string): Promise<readonly string[]> {
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return [];
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    const lines = buffer.toString("utf8", 0, bytesRead).split("\n");
    if (lines.at(-1) === "") lines.pop();
    return lines.slice(start > 0 ? 1 : 0);
  } finally {
    await file.close();
  }
}
