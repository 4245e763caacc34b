import { stripVTControlCharacters } from "node:util";
import type { Cloud } from "./cloud";
import type { Replacement } from "./replacement";
import { RollError } from "./roll-error";

const TAIL_LINES = 20;

/** With this the node agent begins the line that says how its boot ended. */
const AGENT = "holdfast-node: ";

/** The failure of a replacement, or of a first instance, with the node agent's verdict and the end of what the instance printed. */
export async function explained(
  cloud: Cloud,
  { failure, newInstance, node }: Pick<Replacement, "failure" | "newInstance" | "node">,
): Promise<RollError> {
  if (!failure) return new RollError("LAUNCH_FAILED", "the replacement failed", { node });
  // A closed gate is another node's doing.
  const isOwn = newInstance !== undefined && failure.code !== "GATE_CLOSED";
  const output = isOwn ? await cloud.consoleOutput(newInstance).catch(() => "") : "";
  const reason = [failure.reason, ...worthReading(output)].filter(Boolean).join("\n");
  return new RollError(failure.code, failure.message, {
    node,
    ...(newInstance === undefined ? {} : { instanceId: newInstance }),
    ...(reason === "" ? {} : { reason }),
    ...(failure.next === undefined ? {} : { next: failure.next }),
  });
}

/** The error, and which groups the roll kept from launching and could not let go: they do not heal by themselves. */
export function leaving(error: RollError, groups: readonly string[]): RollError {
  const left = `${groups.join(", ")} is kept from launching: \`holdfast roll resume\` ends that`;
  const reason = [error.reason, left].filter(Boolean).join("\n");
  return new RollError(error.code, error.message, { ...error, reason });
}

/** An instance that has shut down since prints more after the verdict than anybody wants to read. */
function worthReading(output: string): string[] {
  const lines = stripVTControlCharacters(output)
    .trimEnd()
    .split(/[\r\n]+/);
  const tail = lines.slice(-TAIL_LINES);
  const verdict = lines.filter((line) => line.startsWith(AGENT)).slice(-1);
  return [...verdict.filter((line) => !tail.includes(line)), ...tail];
}
