import { mkdir, rm, symlink } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { run } from "../../emulator/child";
import { command } from "./host-command";
import { inMachine } from "./machine-files";

/** A volume in a machine. */
export interface AttachedVolume {
  readonly volumeId: string;
  /** The name given to AttachVolume: "/dev/sdf". */
  readonly deviceName: string;
  /** The loop device: "/dev/loop3". */
  readonly device: string;
}

/**
 * Shows a volume in the /dev of the machine whose first process is `pid`, as the kernel and udev do on an instance; a container
 * has neither of its own. Works before that process has run anything.
 * https://docs.aws.amazon.com/ebs/latest/userguide/identify-nvme-ebs-device.html
 */
export async function showDevice(pid: number, volume: AttachedVolume): Promise<void> {
  const node = inMachine(pid, volume.device);
  await rm(node, { force: true });
  await command("mknod", node, "b", "7", volume.device.replace("/dev/loop", ""));
  for (const link of [...linksOf(volume), ...(await uuidLink(volume.device))]) {
    const path = inMachine(pid, link);
    await mkdir(dirname(path), { recursive: true });
    await rm(path, { force: true });
    await symlink(relative(dirname(link), volume.device), path);
  }
}

export async function hideDevice(pid: number, volume: AttachedVolume): Promise<void> {
  for (const path of [...linksOf(volume), ...(await uuidLink(volume.device)), volume.device]) {
    await rm(inMachine(pid, path), { force: true });
  }
}

/** By volume id, and by the name of its attachment, as Amazon's udev rules make it. */
const linksOf = ({ volumeId, deviceName }: AttachedVolume) => [
  join("/dev/disk/by-id", `nvme-Amazon_Elastic_Block_Store_${volumeId.replace("-", "")}`),
  join("/dev", basename(deviceName)),
];

/** Present as soon as there is a filesystem when the device appears: a mount unit names it. */
async function uuidLink(device: string): Promise<string[]> {
  const { code, stdout } = await run("blkid", ["--probe", "--match-tag=UUID", "--output=value", device], {});
  return code === 0 && stdout.trim() !== "" ? [join("/dev/disk/by-uuid", stdout.trim())] : [];
}
