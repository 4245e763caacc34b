import { BootError } from "../boot-error";

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VolumeAttachment.html */
export interface Attachment {
  readonly instanceId: string;
  readonly state: string;
  /** The name given to AttachVolume. */
  readonly deviceName: string;
}

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Volume.html */
export interface Volume {
  readonly volumeId: string;
  readonly state: string;
  readonly availabilityZone: string;
  readonly sizeGiB: number;
  readonly snapshotId: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly attachments: readonly Attachment[];
}

/** EC2's state of the instance that holds a volume; "unknown" if EC2 does not (or no longer) know it. */
export type HolderState = "pending" | "running" | "shutting-down" | "stopping" | "stopped" | "terminated" | "unknown";

export type AttachmentDecision =
  | { readonly action: "done"; readonly deviceName: string }
  | { readonly action: "attach" }
  /** Nothing to do but look again. */
  | { readonly action: "wait"; readonly why: string }
  /** Someone alive has it. EC2's answers may be stale, so it counts only once it has been seen for a while. */
  | { readonly action: "give-up"; readonly error: BootError };

/**
 * Decides what to do about one volume of this node. A volume is never taken from another instance: EC2 releases it when the
 * holder is gone, and only then is it attached.
 *
 * @param holderState asked for only if another instance holds the volume.
 */
export function decideAttachment(
  volume: Volume,
  me: { readonly instanceId: string; readonly availabilityZone: string },
  holderState: HolderState | undefined,
): AttachmentDecision {
  const { volumeId, state, availabilityZone, attachments } = volume;
  if (availabilityZone !== me.availabilityZone) {
    return giveUp({
      code: "volume-in-other-zone",
      message: `${volumeId} is in ${availabilityZone}, this instance in ${me.availabilityZone}`,
      remedy: "the node's subnet must lie in the zone of its volume; correct node_subnet_id",
    });
  }
  if (state === "error" || state === "deleting" || state === "deleted") {
    return giveUp({
      code: "volume-lost",
      message: `${volumeId} is in state ${state}`,
      remedy: "restore it from its last snapshot and import the new volume at the node's aws_ebs_volume address",
    });
  }

  const held = attachments.filter((attachment) => attachment.state !== "detached");
  const other = held.find((attachment) => attachment.instanceId !== me.instanceId);
  if (other) return aboutHolder(volumeId, other, holderState ?? "unknown");
  const mine = held[0];
  if (mine?.state === "attached") return { action: "done", deviceName: mine.deviceName };
  if (mine) return { action: "wait", why: `${volumeId} is ${mine.state} here` };
  if (state === "available") return { action: "attach" };
  return { action: "wait", why: `${volumeId} is ${state}` };
}

function aboutHolder(volumeId: string, holder: Attachment, state: HolderState): AttachmentDecision {
  if (state !== "pending" && state !== "running") {
    return { action: "wait", why: `${volumeId} is ${holder.state} at ${holder.instanceId}, which is ${state}` };
  }
  return giveUp({
    code: "volume-held-by-live-instance",
    message: `${volumeId} is ${holder.state} at ${holder.instanceId}, which is ${state}`,
    remedy: `end ${holder.instanceId} if it is an older instance of this node, then run holdfast-node retry; the volume is not taken from it`,
  });
}

const giveUp = (details: ConstructorParameters<typeof BootError>[0]): AttachmentDecision => ({
  action: "give-up",
  error: new BootError(details),
});
