import type { Aws } from "../host/aws";
import { type Log, reason } from "../host/log";
import { fullJitterMs, sleep } from "../host/waiting";
import { BootError } from "./boot-error";
import type { DataLayout } from "./configuration";
import { type DeviceContents, inspectDevice, inspectInUse } from "./disk/contents";
import { decideFilesystem } from "./disk/filesystem";
import { formatBlank } from "./disk/format";
import { growFilesystem } from "./disk/grow";
import { assertMounted, mountFilesystem, mountsOf } from "./disk/mount";
import { installMountUnit } from "./disk/mount-unit";
import { giveTree } from "./disk/owner";
import type { AttachedVolume } from "./volume/attach";
import { findDevice } from "./volume/device";
import type { Volume } from "./volume/ownership";

/** The volume tag that says which filesystem (UUID) the volume carries; such a volume is never formatted. */
export const INITIALISED_TAG = "holdfast:initialised";

const BACKOFF = { baseMs: 200, capMs: 2_000 };

/**
 * Brings one attached volume to a mounted, writable filesystem, whatever of that has been done already.
 *
 * @param timeoutMs for each tool that is run.
 * @returns the device, for the last look before the application starts.
 * @throws BootError, see {@link decideFilesystem}; the signal's reason if the device does not appear or stays busy.
 */
export async function prepareFilesystem(
  aws: Aws,
  { volume, deviceName }: AttachedVolume,
  layout: DataLayout,
  description: string,
  log: Log,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<string> {
  const { path, options, format } = layout;
  const device = await appeared(volume, deviceName, signal);
  const found = await filesystemOn(device, volume, layout, log, signal, timeoutMs);
  if (found.type !== format) {
    log.warn("the volume keeps the filesystem it has", { path, configured: format, found: found.type });
  }
  await recordInitialised(aws, volume, found.uuid, log);
  await mountFilesystem({ device, type: found.type, path, options }, log, timeoutMs);
  await growFilesystem(found.type, device, path, timeoutMs).catch((error) =>
    log.warn("the filesystem keeps its size", { path, reason: reason(error) }),
  );
  await giveTree(path, layout, log, timeoutMs);
  await installMountUnit({ description, uuid: found.uuid, type: found.type, path, options });
  await assertMounted({ device, path, options });
  return device;
}

async function appeared(volume: Volume, deviceName: string, signal: AbortSignal): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const device = await findDevice(volume, deviceName);
    if (device) return device;
    await sleep(fullJitterMs(attempt, BACKOFF), signal);
    if (signal.aborted) {
      throw new BootError(
        {
          code: "device-never-appeared",
          message: `${volume.volumeId} is attached as ${deviceName}, but no block device shows it`,
          remedy: "look at dmesg and lsblk; a reboot of the instance makes the kernel look again",
        },
        { cause: signal.reason },
      );
    }
  }
}

/** The filesystem on the device, made first if the device is blank. */
async function filesystemOn(
  device: string,
  volume: Volume,
  { path, format }: DataLayout,
  log: Log,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<{ readonly type: string; readonly uuid: string }> {
  const history = {
    volumeId: volume.volumeId,
    initialised: volume.tags[INITIALISED_TAG],
    snapshotId: volume.snapshotId,
  };
  const contents = await settled(device, path, signal);
  const decision = decideFilesystem(contents, history, format);
  if (decision.action === "use") return decision;
  log.info("formatting blank volume", { volumeId: volume.volumeId, device, format: decision.type });
  await formatBlank(device, decision.type, timeoutMs);
  const made = decideFilesystem(await settled(device, path, signal), history, format);
  if (made.action === "use") return made;
  throw new Error(`${device} is still blank after mkfs.${decision.type}`);
}

/** Waits while someone else has the device open exclusively, such as a format that outlived its agent. */
async function settled(
  device: string,
  path: string,
  signal: AbortSignal,
): Promise<Exclude<DeviceContents, { kind: "busy" }>> {
  for (let attempt = 1; ; attempt++) {
    const mounted = await mountsOf(device);
    if (mounted.some((mount) => mount.path === path)) return inspectInUse(device);
    const contents = await inspectDevice(device);
    if (contents.kind !== "busy") return contents;
    await sleep(fullJitterMs(attempt, BACKOFF), signal);
    if (signal.aborted) {
      throw new BootError({
        code: "device-busy",
        message: `${device} is in use${mounted[0] ? `: it is mounted at ${mounted[0].path}` : ""}`,
        remedy: `find who uses it (lsblk ${device}; fuser -vm ${device}), release it, then run holdfast-node retry`,
      });
    }
  }
}

async function recordInitialised(aws: Aws, volume: Volume, uuid: string, log: Log): Promise<void> {
  if (volume.tags[INITIALISED_TAG] === uuid) return;
  await aws
    .call("ec2", "CreateTags", { ResourceId: [volume.volumeId], Tag: [{ Key: INITIALISED_TAG, Value: uuid }] })
    .catch((error) => log.warn("volume not tagged", { volumeId: volume.volumeId, reason: reason(error) }));
}
