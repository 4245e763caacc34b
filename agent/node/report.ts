import { appendFile } from "node:fs/promises";
import type { Aws } from "../host/aws";
import { type Log, reason } from "../host/log";
import type { Failure } from "./state";

/** The instance tag that says how the last boot ended. */
export const BOOT_TAG = "holdfast:boot";

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions */
const TAG_VALUE_CHARACTERS = 256;
const SEPARATOR = " | ";

/** Step, code, what was found, and the last lines of output: on one line. */
export function failureLine({ step, code, message }: Failure): string {
  const lines = message.split("\n").map((line) => line.trim());
  return `failed at ${step} (${code}): ${lines.filter(Boolean).join(SEPARATOR)}`;
}

/** The first part of a failure line, which says what failed, and as much of its end as fits: there stands why. */
export function tagValue(line: string): string {
  const characters = [...line];
  if (characters.length <= TAG_VALUE_CHARACTERS) return line;
  const [head = ""] = line.split(SEPARATOR);
  const kept = [...head].slice(0, TAG_VALUE_CHARACTERS / 2);
  const gap = [..." … "];
  return [...kept, ...gap, ...characters.slice(kept.length + gap.length - TAG_VALUE_CHARACTERS)].join("");
}

/**
 * Says on every channel that reaches a person how the boot ended: a tag of the instance and its console output; the log has it already.
 * A channel that cannot be reached does not change the outcome.
 */
export async function report(aws: Aws, instanceId: string, nodeId: string, line: string, log: Log): Promise<void> {
  const unreachable = (channel: string) => (error: unknown) =>
    log.warn("boot not reported", { channel, reason: reason(error) });
  await Promise.all([
    appendFile("/dev/console", `holdfast-node: node ${nodeId} ${line}\r\n`).catch(unreachable("console")),
    aws
      .call("ec2", "CreateTags", { ResourceId: [instanceId], Tag: [{ Key: BOOT_TAG, Value: tagValue(line) }] })
      .catch(unreachable(`tag ${BOOT_TAG}`)),
  ]);
}
