import type { Drain, DrainTarget } from "./probe";
import { runProgram } from "./run-program";

/**
 * A program that drains a node before it goes, and takes it back if it stays after all. It runs without a shell; what it
 * is to do and to which node is in its environment: DRAIN_ACTION (`drain` or `undrain`), NODE_ID, NODE_IP, NODE_GROUP,
 * INSTANCE_ID.
 */
export function drainCommand(command: string, args: readonly string[], timeoutMs: number): Drain {
  const run = (action: "drain" | "undrain", { nodeId, ip, group, instanceId }: DrainTarget) => {
    const env = { DRAIN_ACTION: action, NODE_ID: nodeId, NODE_IP: ip, NODE_GROUP: group, INSTANCE_ID: instanceId };
    return runProgram(command, args, { env, signal: AbortSignal.timeout(timeoutMs), isBeside: true });
  };
  return { drain: (target) => run("drain", target), undrain: (target) => run("undrain", target) };
}
