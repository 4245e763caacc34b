import { run } from "../../host/child";
import type { Format } from "./filesystem";

/** Neither knows a force flag here: mkfs.xfs then refuses a signature by itself, and the guard does so for mkfs.ext4. */
const MKFS: Readonly<Record<Format, readonly string[]>> = {
  ext4: ["mkfs.ext4", "-q"],
  xfs: ["mkfs.xfs", "-q"],
};

/**
 * Makes a filesystem on a device that was found blank.
 *
 * The last look and the format happen under the device's BSD lock: a format left behind by an agent that was killed is waited
 * for and then seen, and udev keeps away (https://systemd.io/BLOCK_DEVICE_LOCKING/).
 *
 * @throws Error if the device carries a signature by now, or if mkfs fails.
 */
export async function formatBlank(device: string, format: Format, timeoutMs: number): Promise<void> {
  const guarded = 'blkid -p "$0" >&2; [ $? -eq 2 ] || { echo "$0 is no longer blank"; exit 1; }; exec "$@" "$0"';
  await run("flock", ["--exclusive", device, "sh", "-c", guarded, device, ...MKFS[format]], { timeoutMs });
}
