import type { Activity } from "./cloud";
import type { LaunchFailureCode } from "./roll-error";

/** What a scaling activity's message says, by the words AWS uses: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-instancelaunchfailure.html */
const CAUSES: readonly (readonly [LaunchFailureCode, RegExp])[] = [
  ["INTERFACE_IN_USE", /Interface: \[eni-[^\]]*\] in use/],
  ["INSUFFICIENT_CAPACITY", /sufficient .*capacity|InsufficientInstanceCapacity/i],
  ["QUOTA_EXCEEDED", /more .*(vCPU|instance).* than your current .*limit|quota has been exceeded/i],
  ["IMAGE_UNUSABLE", /\bAMI\b|image id .*(does not exist|not exist)|InvalidAMIID/i],
  ["INSTANCE_TYPE_UNSUPPORTED", /instance (type|configuration).*not (currently )?supported|Unsupported/i],
  ["KMS_KEY_UNUSABLE", /KMS|InvalidKMSKey|Client\.InternalError/i],
  ["INSTANCE_PROFILE_INVALID", /IAM Instance Profile|iamInstanceProfile/i],
  ["NOT_AUTHORIZED", /not authorized to perform|UnauthorizedOperation/i],
  ["SECURITY_GROUP_MISSING", /security group .*does not exist/i],
  ["KEY_PAIR_MISSING", /key pair .*does not exist/i],
  ["VOLUME_LIMIT", /VolumeLimitExceeded|maximum number of .*volumes/i],
  ["HOOK_ABANDONED", /Lifecycle Action .*(abandon|ABANDON)/i],
];

export interface LaunchFailure {
  readonly code: LaunchFailureCode;
  /** The group's own sentence. */
  readonly reason: string;
}

/** Clocks of the roller and of AWS may differ by this much. */
const CLOCK_SKEW_MS = 60_000;

/**
 * The newest launch that failed since the launch was released, undefined while none has. One that found the interface in use
 * counts only where no other failed: a group tries again while the instance that failed before still holds it.
 * `lastSeen` is the newest activity known before the release that is not this launch: a group may have begun it before it was held.
 */
export function launchFailure(
  activities: readonly Activity[],
  sinceMs: number,
  lastSeen: string | undefined,
): LaunchFailure | undefined {
  const known = activities.findIndex(({ id }) => id === lastSeen);
  const failed = activities
    .slice(0, known === -1 ? undefined : known)
    .filter((activity) => isFailedLaunch(activity) && activity.startedMs >= sinceMs - CLOCK_SKEW_MS)
    .map(({ message }) => ({ code: causeOf(message), reason: message }));
  return failed.find(({ code }) => code !== "INTERFACE_IN_USE") ?? failed[0];
}

/** Everything a group does is a launch or a termination. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-verify-scaling-activity.html */
export function isLaunch({ description }: Activity): boolean {
  return !description.startsWith("Terminating");
}

export function isFailedLaunch(activity: Activity): boolean {
  return isLaunch(activity) && (activity.status === "Failed" || activity.status === "Cancelled");
}

function causeOf(message: string): LaunchFailureCode {
  return CAUSES.find(([, words]) => words.test(message))?.[0] ?? "LAUNCH_FAILED";
}

const ADVICE: Readonly<Record<LaunchFailureCode, string>> = {
  INTERFACE_IN_USE: "end the instance that holds the interface; the group tries again by itself",
  INSUFFICIENT_CAPACITY:
    "wait for capacity in the zone, or reserve it (On-Demand Capacity Reservation), then `holdfast roll resume`",
  QUOTA_EXCEEDED: "raise the vCPU quota of the account, then `holdfast roll resume`",
  IMAGE_UNUSABLE: "correct the image, `terraform apply`, then `holdfast roll run --yes`",
  INSTANCE_TYPE_UNSUPPORTED:
    "choose an instance type the zone offers, `terraform apply`, then `holdfast roll run --yes`",
  KMS_KEY_UNUSABLE:
    "let the Auto Scaling service role use the key of the root volume or image, then `holdfast roll resume`",
  INSTANCE_PROFILE_INVALID: "restore the instance profile, then `holdfast roll resume`",
  NOT_AUTHORIZED: "restore the permissions of the Auto Scaling service role, then `holdfast roll resume`",
  SECURITY_GROUP_MISSING: "restore the security group on the interface, then `holdfast roll resume`",
  KEY_PAIR_MISSING: "restore the key pair or remove it from the template, then `holdfast roll run --yes`",
  VOLUME_LIMIT: "raise the volume quota or remove volumes, then `holdfast roll resume`",
  HOOK_ABANDONED:
    "read what the node printed, correct the release, then `holdfast roll run --yes` or `holdfast roll rollback --yes`",
  LAUNCH_FAILED: "correct what the message names, then `holdfast roll resume`",
};

export function adviceFor(code: LaunchFailureCode): string {
  return ADVICE[code];
}
