import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { closeSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, symlinkSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const GIB = 1024 ** 3;
const BY_ID = "/dev/disk/by-id";

/** An EBS volume as an instance sees it: a real block device (a loop device), which appears under its volume id once attached. */
export interface LoopVolume {
  readonly volumeId: string;
  readonly sizeGiB: number;
  readonly device: string;
  readonly backingFile: string;
  /** The device appears in /dev/disk/by-id, as udev shows an NVMe volume. */
  appear(): void;
  /** SHA-256 of every byte that the device holds. */
  digest(): string;
  /** As after ec2 modify-volume. */
  grow(sizeGiB: number): void;
  /** From now on reading fails with EIO. */
  breakReads(): void;
  remove(): void;
}

export function sh(command: string, input?: Buffer): string {
  return execFileSync("bash", ["-euo", "pipefail", "-c", command], {
    input: input ?? "",
    stdio: ["pipe", "pipe", "pipe"],
  }).toString();
}

export function loopVolume({ sizeGiB = 320 / 1024, visible = true } = {}): LoopVolume {
  const volumeId = `vol-${randomBytes(8).toString("hex")}`;
  const folder = mkdtempSync(join(tmpdir(), "holdfast-volume-"));
  const backingFile = join(folder, "volume.img");
  closeSync(openSync(backingFile, "w"));
  truncateSync(backingFile, sizeGiB * GIB);
  const device = sh(`losetup --find --show '${backingFile}'`).trim();
  const link = join(BY_ID, `nvme-Amazon_Elastic_Block_Store_${volumeId.replace("-", "")}`);
  const appear = () => {
    mkdirSync(BY_ID, { recursive: true });
    symlinkSync(device, link);
  };
  if (visible) appear();
  return {
    volumeId,
    sizeGiB,
    device,
    backingFile,
    appear,
    digest: () => {
      sh(`blockdev --flushbufs ${device}`);
      return digestOf(backingFile);
    },
    grow: (size) => {
      truncateSync(backingFile, size * GIB);
      sh(`losetup --set-capacity ${device}`);
    },
    breakReads: () => {
      truncateSync(backingFile, 0);
      sh(`blockdev --flushbufs ${device}`);
    },
    remove: () => {
      rmSync(link, { force: true });
      // A loop device keeps the read-only flag for whoever gets it next.
      sh(`for path in $(findmnt --noheadings --output TARGET ${device} || true); do umount "$path"; done
          blockdev --setrw ${device}; losetup --detach ${device}`);
      rmSync(folder, { recursive: true });
    },
  };
}

/** Reads in large pieces; holes of a sparse file read as zeros. */
function digestOf(path: string): string {
  const hash = createHash("sha256");
  const file = openSync(path, "r");
  const buffer = Buffer.alloc(8 * 1024 * 1024);
  for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer))
    hash.update(buffer.subarray(0, read));
  closeSync(file);
  return hash.digest("hex");
}
