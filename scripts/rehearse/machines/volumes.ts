import { truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { command, succeeds } from "./host-command";

/** EBS volumes as sparse files behind loop devices: they take the space that is written to them. */
export interface Volumes {
  create(volumeId: string, sizeGiB: number): Promise<void>;
  grow(volumeId: string, sizeGiB: number): Promise<void>;
  /** @throws Error while a machine holds it. */
  remove(volumeId: string): Promise<void>;
  /** Gives a volume to one machine. @returns its device. @throws Error where another holds it, or there is none of this id. */
  hold(volumeId: string, holder: string): string;
  release(volumeId: string): void;
  removeAll(): Promise<void>;
}

interface Volume {
  readonly file: string;
  readonly device: string;
  holder?: string;
}

const GIB = 1024 ** 3;

/** Volumes whose files are in `directory`. */
export function loopVolumes(directory: string): Volumes {
  const volumes = new Map<string, Volume>();
  const volumeOf = (volumeId: string): Volume => {
    const volume = volumes.get(volumeId);
    if (volume === undefined) throw new Error(`${volumeId}: no such volume`);
    return volume;
  };
  const remove = async (volumeId: string) => {
    const { file, holder } = volumeOf(volumeId);
    if (holder !== undefined) throw new Error(`${volumeId} is attached to ${holder}`);
    await removeLoopDevices(file);
    await unlink(file);
    volumes.delete(volumeId);
  };
  return {
    async create(volumeId, sizeGiB) {
      const file = join(directory, volumeId);
      await writeFile(file, "", { flag: "wx" });
      await truncate(file, sizeGiB * GIB);
      volumes.set(volumeId, { file, device: await command("losetup", "--find", "--show", file) });
    },
    async grow(volumeId, sizeGiB) {
      const { file, device } = volumeOf(volumeId);
      await truncate(file, sizeGiB * GIB);
      await command("losetup", "--set-capacity", device);
    },
    remove,
    async removeAll() {
      for (const volumeId of [...volumes.keys()]) await remove(volumeId);
    },
    hold(volumeId, holder) {
      const volume = volumeOf(volumeId);
      if (volume.holder !== undefined) throw new Error(`${volumeId} is attached to ${volume.holder}`);
      volume.holder = holder;
      return volume.device;
    },
    release(volumeId) {
      const volume = volumes.get(volumeId);
      if (volume) delete volume.holder;
    },
  };
}

/** Frees the loop devices whose file is `path` or below it: a device's number alone may be another's by now. */
export async function removeLoopDevices(path: string): Promise<void> {
  const list = await command("losetup", "--list", "--json", "--output=NAME,BACK-FILE");
  const { loopdevices }: { loopdevices: { name: string; "back-file": string }[] } = JSON.parse(
    list || '{"loopdevices": []}',
  );
  for (const { name, "back-file": file } of loopdevices) {
    if (file === path || file.startsWith(`${path}/`)) await succeeds("losetup", "--detach", name);
  }
}
