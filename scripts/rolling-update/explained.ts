import type { Cloud } from "./cloud";
import type { Replacement } from "./replacement";
import { RollError } from "./roll-error";

const TAIL_LINES = 20;

/** The failure of a replacement, with the end of what the instance printed while it booted. */
export async function explained(cloud: Cloud, { failure, newInstance, node }: Replacement): Promise<RollError> {
  if (!failure) return new RollError("LAUNCH_FAILED", "the replacement failed", { node });
  const output = newInstance === undefined ? "" : await cloud.consoleOutput(newInstance).catch(() => "");
  const tail = output.trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
  const reason = [failure.reason, tail].filter(Boolean).join("\n");
  return new RollError(failure.code, failure.message, {
    node,
    ...(newInstance === undefined ? {} : { instanceId: newInstance }),
    ...(reason === "" ? {} : { reason }),
    ...(failure.next === undefined ? {} : { next: failure.next }),
  });
}
