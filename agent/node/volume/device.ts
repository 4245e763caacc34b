import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { deviceBytes } from "../disk/contents";

/** Where the kernel and udev describe block devices. */
export interface DeviceTree {
  /** @default "/dev" */
  readonly dev?: string;
  /** @default "/sys/class/block" */
  readonly sys?: string;
}

const EBS_MODEL = "Amazon Elastic Block Store";
const GIB = 1024 ** 3;

/**
 * The block device of an attached volume; undefined as long as it has not appeared.
 *
 * On Nitro instances a volume is an NVMe disk whose serial number is the volume id without its dash; udev links it by model and
 * serial on every distribution, and the kernel shows the serial where udev does not run.
 * https://docs.aws.amazon.com/ebs/latest/userguide/identify-nvme-ebs-device.html
 * On Xen instances only the name given at attachment tells the disk, which the kernel may show as xvdX:
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html. There the size must agree too, since a name may lie.
 *
 * @param deviceName the name given to AttachVolume, e.g. "/dev/sdf".
 */
export async function findDevice(
  volume: { readonly volumeId: string; readonly sizeGiB: number },
  deviceName: string,
  { dev = "/dev", sys = "/sys/class/block" }: DeviceTree = {},
): Promise<string | undefined> {
  const serial = volume.volumeId.replace("-", "");
  const linked = await blockDevice(join(dev, "disk/by-id", `nvme-${EBS_MODEL.replaceAll(" ", "_")}_${serial}`));
  if (linked && [undefined, serial].includes(await text(join(sys, basename(linked), "device/serial")))) return linked;

  let nitro = false;
  for (const name of (await readdir(sys)).filter((entry) => /^nvme\d+n\d+$/.test(entry))) {
    if ((await text(join(sys, name, "device/model"))) !== EBS_MODEL) continue;
    nitro = true;
    if ((await text(join(sys, name, "device/serial"))) === serial) return blockDevice(join(dev, name));
  }
  if (nitro) return undefined;

  const [, letters] = /^\/dev\/(?:sd|xvd)([a-z]+)$/.exec(deviceName) ?? [];
  for (const name of [basename(deviceName), ...(letters ? [`xvd${letters}`] : [])]) {
    const device = await blockDevice(join(dev, name));
    if (device && (await deviceBytes(device)) === volume.sizeGiB * GIB) return device;
  }
  return undefined;
}

/** The device node behind a name or link; undefined if there is none. */
async function blockDevice(path: string): Promise<string | undefined> {
  try {
    const device = await realpath(path);
    return (await stat(device)).isBlockDevice() ? device : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function text(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").then(
    (content) => content.trim(),
    () => undefined,
  );
}
