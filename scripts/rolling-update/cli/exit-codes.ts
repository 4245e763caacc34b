import type { RollError, RollErrorCode } from "../roll-error";
import type { Outcome } from "../roll-ports";

/** What the shell is told, besides of a mistake in the command line. Stable: scripts and CI depend on them. */
export const EXIT = {
  done: 0,
  nodeFailed: 1,
  changesPending: 2,
  paused: 3,
  gateClosed: 4,
  lockHeld: 5,
  refused: 6,
  cloudRefused: 7,
  rolledBack: 8,
  handedOver: 9,
} as const;

const BY_CODE: Partial<Record<RollErrorCode, number>> = {
  GATE_CLOSED: EXIT.gateClosed,
  ZONE_IMPAIRED: EXIT.gateClosed,
  LOCK_HELD: EXIT.lockHeld,
  LOCK_LOST: EXIT.lockHeld,
  HANDOVER_FAILED: EXIT.paused,
  MANIFEST_INVALID: EXIT.refused,
  SETTINGS_INCOHERENT: EXIT.refused,
  WRONG_ACCOUNT: EXIT.refused,
  WRONG_REGION: EXIT.refused,
  WRONG_CLUSTER: EXIT.refused,
  GROUP_MISSING: EXIT.refused,
  TEMPLATE_UNKNOWN: EXIT.refused,
  TARGET_NOT_SEEN: EXIT.refused,
  PREFLIGHT_REFUSED: EXIT.refused,
  IRREVERSIBLE: EXIT.refused,
  NOTHING_TO_RESUME: EXIT.refused,
  NO_REFRESH: EXIT.refused,
  CLOUD_DENIED: EXIT.cloudRefused,
  CLOUD_FAILED: EXIT.cloudRefused,
};

export function exitCodeOfError({ code }: RollError): number {
  return BY_CODE[code] ?? EXIT.nodeFailed;
}

export function exitCodeOf({ status, error }: Outcome): number {
  if (status === "rolled back") return EXIT.rolledBack;
  if (status === "handed over") return EXIT.handedOver;
  if (error) return exitCodeOfError(error);
  return status === "done" ? EXIT.done : EXIT.paused;
}
