import type { RollEvent } from "../events";

/**
 * One line a phase, for where output is cut: Systems Manager keeps the first 24,000 characters of it.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/run-command.html
 */
export function brief(stream: NodeJS.WriteStream): (event: RollEvent) => void {
  return ({ kind, time, node, phase, instance, reason }) => {
    if (kind === "waiting" || kind === "action") return;
    const what = [node && `node ${node}`, phase, instance, kind === "phase" ? undefined : reason].filter(Boolean);
    stream.write(`${time.slice(11, 19)} ${what.join(" ") || kind}\n`);
  };
}
