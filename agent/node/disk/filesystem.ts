import { BootError } from "../boot-error";
import type { DeviceContents } from "./contents";

/** The filesystems that a blank volume may get. */
export const FORMATS = ["ext4", "xfs"] as const;
export type Format = (typeof FORMATS)[number];

/** The filesystems that are mounted where they are found. */
const MOUNTABLE: readonly string[] = ["ext2", "ext3", "ext4", "xfs"];

/** What EC2 knows about a volume's past. */
export interface VolumeHistory {
  readonly volumeId: string;
  /** UUID from the tag that a node puts on a volume once it carries a filesystem. */
  readonly initialised: string | undefined;
  /** The snapshot the volume was made from. */
  readonly snapshotId: string | undefined;
}

export type FilesystemDecision =
  | { readonly action: "format"; readonly type: Format }
  /** `type` and `uuid` are the ones found, whatever is configured. */
  | { readonly action: "use"; readonly type: string; readonly uuid: string };

/**
 * Decides what happens to a device before it is mounted. It is formatted in one case only: every byte looked at is zero, and EC2
 * has no record that the volume ever held something.
 *
 * @throws BootError for everything that a person must look at first.
 */
export function decideFilesystem(
  contents: Exclude<DeviceContents, { kind: "busy" }>,
  history: VolumeHistory,
  configured: Format,
): FilesystemDecision {
  const { volumeId, initialised, snapshotId } = history;
  switch (contents.kind) {
    case "signature":
      if (MOUNTABLE.includes(contents.type)) return { action: "use", type: contents.type, uuid: contents.uuid };
      throw new BootError({
        code: "volume-holds-other-data",
        message: `${volumeId} carries ${contents.type}, which is not mounted and never overwritten`,
        remedy: `attach the volume that belongs to this node; this agent mounts ${MOUNTABLE.join(", ")}`,
      });
    case "occupied":
      throw new BootError({
        code: "volume-holds-other-data",
        message: `${volumeId} carries ${contents.by}, which is not mounted and never overwritten`,
        remedy:
          "if the data are worthless, wipe the whole volume yourself (blkdiscard --zeroout) and run holdfast-node retry",
      });
    case "unreadable":
      throw new BootError({
        code: "volume-unreadable",
        message: `${volumeId} cannot be read: ${contents.reason}`,
        remedy: "look at aws ec2 describe-volume-status; restore the last snapshot if the volume is impaired",
      });
    case "blank":
      if (initialised !== undefined) {
        throw new BootError({
          code: "initialised-volume-is-blank",
          message: `${volumeId} reads as blank, but is tagged as carrying filesystem ${initialised}`,
          remedy:
            "restore the volume from its last snapshot; remove the tag holdfast:initialised only if its data may be lost",
        });
      }
      if (snapshotId !== undefined) {
        throw new BootError({
          code: "restored-volume-is-blank",
          message: `${volumeId} reads as blank, but was made from snapshot ${snapshotId}`,
          remedy: "check the snapshot; make the volume without one if it is to start empty",
        });
      }
      return { action: "format", type: configured };
  }
}
