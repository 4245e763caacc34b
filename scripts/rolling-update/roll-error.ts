import { CloudError } from "./cloud";

/** Why a group could not start or keep the replacement, read from its scaling activities. */
export const LAUNCH_FAILURE_CODES = [
  "INTERFACE_IN_USE",
  "INSUFFICIENT_CAPACITY",
  "QUOTA_EXCEEDED",
  "IMAGE_UNUSABLE",
  "INSTANCE_TYPE_UNSUPPORTED",
  "KMS_KEY_UNUSABLE",
  "INSTANCE_PROFILE_INVALID",
  "NOT_AUTHORIZED",
  "SECURITY_GROUP_MISSING",
  "KEY_PAIR_MISSING",
  "VOLUME_LIMIT",
  "HOOK_ABANDONED",
  "LAUNCH_FAILED",
] as const;
export type LaunchFailureCode = (typeof LAUNCH_FAILURE_CODES)[number];

/** Every other reason why a roll ends other than well. */
export const ROLL_FAILURE_CODES = [
  "MANIFEST_INVALID",
  "SETTINGS_INCOHERENT",
  "WRONG_ACCOUNT",
  "WRONG_REGION",
  "WRONG_CLUSTER",
  "GROUP_MISSING",
  "TEMPLATE_UNKNOWN",
  "PREFLIGHT_REFUSED",
  "LOCK_HELD",
  "LOCK_LOST",
  "GATE_CLOSED",
  "DRAIN_FAILED",
  "TERMINATE_TIMEOUT",
  "LAUNCH_TIMEOUT",
  "TARGET_NOT_SEEN",
  "TARGET_MOVED",
  "INSTANCE_LOST",
  "CLUSTER_UNHEALTHY",
  "ALARM",
  "IRREVERSIBLE",
  "NOTHING_TO_RESUME",
  "ZONE_IMPAIRED",
  "HANDOVER_FAILED",
  "NO_REFRESH",
  "REFRESH_FAILED",
  "CLOUD_DENIED",
  "CLOUD_FAILED",
  "INTERNAL",
] as const;

/** Why a roll ended other than well. The code is stable; scripts may match on it. */
export type RollErrorCode = (typeof ROLL_FAILURE_CODES)[number] | LaunchFailureCode;

/** What happened, where, why in AWS's own words, and the next command. */
export class RollError extends Error {
  readonly node: string | undefined;
  readonly instanceId: string | undefined;
  readonly reason: string | undefined;
  readonly next: string | undefined;

  constructor(
    readonly code: RollErrorCode,
    message: string,
    detail: Partial<Readonly<Record<"node" | "instanceId" | "reason" | "next", string | undefined>>> = {},
  ) {
    super(message);
    this.name = "RollError";
    this.node = detail.node;
    this.instanceId = detail.instanceId;
    this.reason = detail.reason;
    this.next = detail.next;
  }
}

/** Any error in the operator's terms. */
export function asRollError(error: unknown): RollError {
  if (error instanceof RollError) return error;
  if (!(error instanceof CloudError)) {
    return new RollError("INTERNAL", "the roller itself failed", {
      reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
      next: "report this with the text above; `holdfast roll resume` goes on from here",
    });
  }
  if (error.code === "CredentialsProviderError") {
    return new RollError("CLOUD_DENIED", "no AWS credentials were found", {
      reason: error.message,
      next: "set AWS_PROFILE, or log in (`aws sso login`), and repeat the command",
    });
  }
  return error.kind === "denied"
    ? new RollError("CLOUD_DENIED", `AWS refused ${error.action}`, {
        reason: `${error.code}: ${error.message}`,
        next: "renew the credentials, or add what `holdfast roll policy` prints to the role; then `holdfast roll resume`",
      })
    : new RollError("CLOUD_FAILED", `${error.action} failed`, {
        reason: `${error.code}: ${error.message}`,
        next: "`holdfast roll resume` goes on from here",
      });
}
