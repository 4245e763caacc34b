import { type Aws, AwsError } from "../../host/aws";
import type { Log } from "../../host/log";
import { type Backoff, fullJitterMs, sleep } from "../../host/waiting";
import { listOf } from "../../host/xml";
import { BootError } from "../boot-error";
import { decideAttachment, type HolderState, type Volume } from "./ownership";

export interface AttachRequest {
  readonly volumeId: string;
  /** The name to attach under, e.g. "/dev/sdf". */
  readonly deviceName: string;
  readonly instanceId: string;
  readonly availabilityZone: string;
}

export interface AttachedVolume {
  /** As EC2 describes it once attached. */
  readonly volume: Volume;
  /** The name it is attached under. */
  readonly deviceName: string;
}

export interface AttachPatience {
  /** How long EC2 must say that a living instance holds the volume before it is believed. */
  readonly liveHolderMs: number;
  readonly backoff: Backoff;
}

export const ATTACH_PATIENCE: AttachPatience = { liveHolderMs: 60_000, backoff: { baseMs: 500, capMs: 10_000 } };

/** Someone was faster, or EC2 has not caught up: the next description of the volume tells which. */
const LOOK_AGAIN = ["VolumeInUse", "IncorrectState", "IncorrectInstanceState", "InvalidVolume.NotFound"];

/**
 * Attaches a volume to this instance, waiting until its former holder is gone.
 *
 * @throws BootError if the volume cannot come here, or was waited for in vain.
 */
export async function attachVolume(
  aws: Aws,
  request: AttachRequest,
  log: Log,
  signal: AbortSignal,
  patience: AttachPatience = ATTACH_PATIENCE,
): Promise<AttachedVolume> {
  const { volumeId, deviceName, instanceId } = request;
  let heldSince: number | undefined;
  let said = "";
  const say = (why: string) => {
    if (why !== said) log.info("waiting for volume", { volumeId, why });
    said = why;
  };
  for (let attempt = 1; ; attempt++) {
    try {
      const volume = await describeVolume(aws, volumeId);
      const decision = decideAttachment(volume, request, await holderState(aws, volume, instanceId));
      if (decision.action === "done") return { volume, deviceName: decision.deviceName };
      if (decision.action === "give-up") {
        heldSince ??= performance.now();
        if (performance.now() - heldSince >= patience.liveHolderMs) throw decision.error;
      } else heldSince = undefined;
      if (decision.action === "attach") {
        log.info("attaching volume", { volumeId, deviceName });
        await aws.call("ec2", "AttachVolume", { VolumeId: volumeId, InstanceId: instanceId, Device: deviceName });
      }
      if (decision.action === "wait") say(decision.why);
      if (decision.action === "give-up") say(decision.error.message);
    } catch (error) {
      if (!(error instanceof AwsError && LOOK_AGAIN.includes(error.code))) throw error;
      say(error.message);
    }
    await sleep(fullJitterMs(attempt, patience.backoff), signal);
    if (signal.aborted) {
      throw new BootError({
        code: "volume-not-attached",
        message: `${volumeId} was not attached in time${said ? `: ${said}` : ""}`,
        remedy: `look at aws ec2 describe-volumes --volume-ids ${volumeId}, then run holdfast-node retry`,
      });
    }
  }
}

/** @throws AwsError with code InvalidVolume.NotFound if there is none. */
export async function describeVolume(aws: Aws, volumeId: string): Promise<Volume> {
  const answer = await aws.call("ec2", "DescribeVolumes", { VolumeId: [volumeId] });
  const volume = listOf(answer["volumeSet"])[0];
  if (!volume) {
    throw new BootError({
      code: "volume-lost",
      message: `EC2 knows no volume ${volumeId}`,
      remedy: "check the volume id and the region; import the node's volume at its aws_ebs_volume address",
    });
  }
  return {
    volumeId,
    state: String(volume["status"]),
    availabilityZone: String(volume["availabilityZone"]),
    sizeGiB: Number(volume["size"]),
    // Absent and empty both mean that there is none.
    snapshotId: (volume["snapshotId"] as string | undefined) || undefined,
    tags: Object.fromEntries(listOf(volume["tagSet"]).map((tag) => [tag["key"], String(tag["value"])])),
    attachments: listOf(volume["attachmentSet"]).map((attachment) => ({
      instanceId: String(attachment["instanceId"]),
      state: String(attachment["status"]),
      deviceName: String(attachment["device"]),
    })),
  };
}

async function holderState(aws: Aws, volume: Volume, me: string): Promise<HolderState | undefined> {
  const holder = volume.attachments.find(({ instanceId }) => instanceId !== me);
  if (!holder) return undefined;
  try {
    const answer = await aws.call("ec2", "DescribeInstances", { InstanceId: [holder.instanceId] });
    const instance = listOf(listOf(answer["reservationSet"])[0]?.["instancesSet"])[0];
    const state = instance?.["instanceState"] as { readonly name?: HolderState } | undefined;
    return state?.name ?? "unknown";
  } catch (error) {
    if (error instanceof AwsError && error.code === "InvalidInstanceID.NotFound") return "unknown";
    throw error;
  }
}
