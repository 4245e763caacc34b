import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { run } from "../../host/child";

/** What a block device carries. Only `blank` says that nothing can be lost. */
export type DeviceContents =
  /** Every byte looked at was read and is zero, and no signature was found. */
  | { readonly kind: "blank" }
  /** One signature, which libblkid knows: a filesystem, or something that only looks like one to it. */
  | { readonly kind: "signature"; readonly type: string; readonly uuid: string }
  /** A partition table, several signatures at once, or data of no known format. */
  | { readonly kind: "occupied"; readonly by: string }
  | { readonly kind: "unreadable"; readonly reason: string }
  /** Opened exclusively by someone else: mounted, part of an array, or being formatted at this moment. */
  | { readonly kind: "busy" };

const MIB = 1024 * 1024;
/** Read whole: where boot sectors, superblocks, labels and their copies at the end lie. */
const EDGE_BYTES = 4 * MIB;
/** Read in between, at even distances: 64 MiB of a volume of any size, seconds at the lowest throughput of EBS. */
const SAMPLES = 1_024;
const SAMPLE_BYTES = 64 * 1024;

const ZEROS = Buffer.alloc(MIB);

const TOOL_TIMEOUT_MS = 60_000;

/**
 * Looks at a block device without changing it.
 *
 * `blkid -p` exits with 2 both for "nothing found" and for "could not read" (blkid(8), RETURN VALUE), so its silence
 * proves nothing: a device is blank only if this process read its beginning, its end and samples between, and all are zero,
 * as EBS delivers a new volume.
 *
 * @throws Error if blkid or blockdev is missing or fails in another way.
 */
export async function inspectDevice(device: string): Promise<DeviceContents> {
  let handle: FileHandle;
  try {
    // On a block device O_EXCL without O_CREAT fails with EBUSY while it is in use, open(2).
    handle = await open(device, constants.O_RDONLY | constants.O_EXCL);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EBUSY") return { kind: "busy" };
    return { kind: "unreadable", reason: (error as Error).message };
  }
  try {
    return (await signature(device)) ?? (await emptiness(handle, await deviceBytes(device)));
  } finally {
    await handle.close();
  }
}

/** Looks at a device that is mounted, and so cannot be opened exclusively; it is never called blank. */
export async function inspectInUse(device: string): Promise<Exclude<DeviceContents, { kind: "blank" | "busy" }>> {
  return (await signature(device)) ?? { kind: "unreadable", reason: "it is mounted, but shows no signature" };
}

/** The size of a block device in bytes. */
export async function deviceBytes(device: string): Promise<number> {
  return Number(await run("blockdev", ["--getsize64", device], { timeoutMs: TOOL_TIMEOUT_MS }));
}

const BLKID_NOTHING_FOUND = 2;
const BLKID_AMBIVALENT = 8;

async function signature(
  device: string,
): Promise<Extract<DeviceContents, { kind: "signature" | "occupied" }> | undefined> {
  // The exit status is an answer here, not a failure.
  const probe = await run("sh", ["-c", 'blkid -p -o export "$0"; echo "STATUS=$?"', device], {
    timeoutMs: TOOL_TIMEOUT_MS,
  });
  const found = new Map(probe.split("\n").map((line) => [line.split("=", 1)[0], line.slice(line.indexOf("=") + 1)]));
  const status = Number(found.get("STATUS"));
  const table = found.get("PTTYPE");
  const type = found.get("TYPE");
  if (status === BLKID_NOTHING_FOUND) return undefined;
  if (status === BLKID_AMBIVALENT) return { kind: "occupied", by: "several signatures at once" };
  if (status !== 0) throw new Error(`blkid -p ${device} failed with status ${status}`);
  if (table !== undefined) return { kind: "occupied", by: `a ${table} partition table` };
  if (type === undefined) return { kind: "occupied", by: "a signature without a type" };
  return { kind: "signature", type, uuid: found.get("UUID") ?? "" };
}

async function emptiness(handle: FileHandle, bytes: number): Promise<DeviceContents> {
  if (bytes === 0) return { kind: "unreadable", reason: "the device reports a size of 0 bytes" };
  try {
    for (const [start, end] of placesToRead(bytes)) {
      const offset = await firstNonZero(handle, start, end);
      if (offset !== undefined) return { kind: "occupied", by: `data of unknown format at byte ${offset}` };
    }
    return { kind: "blank" };
  } catch (error) {
    return { kind: "unreadable", reason: (error as Error).message };
  }
}

/** Ranges [start, end) in bytes. */
function placesToRead(bytes: number): [number, number][] {
  if (bytes <= 2 * EDGE_BYTES + SAMPLES * SAMPLE_BYTES) return [[0, bytes]];
  const distance = Math.floor((bytes - 2 * EDGE_BYTES) / SAMPLES / SAMPLE_BYTES) * SAMPLE_BYTES;
  const samples = Array.from({ length: SAMPLES }, (_, i): [number, number] => {
    const start = EDGE_BYTES + i * distance;
    return [start, start + SAMPLE_BYTES];
  });
  return [[0, EDGE_BYTES], [bytes - EDGE_BYTES, bytes], ...samples];
}

async function firstNonZero(handle: FileHandle, start: number, end: number): Promise<number | undefined> {
  const buffer = Buffer.alloc(MIB);
  for (let position = start; position < end; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(MIB, end - position), position);
    if (bytesRead === 0) throw new Error(`nothing to read at byte ${position} of ${end}`);
    const piece = buffer.subarray(0, bytesRead);
    if (!piece.equals(ZEROS.subarray(0, bytesRead))) return position + piece.findIndex((byte) => byte !== 0);
    position += bytesRead;
  }
  return undefined;
}
