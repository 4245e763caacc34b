import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Drain, DrainTarget } from "./probe";

/**
 * A program that drains a node before it goes, and takes it back if it stays after all. It runs without a shell; what it
 * is to do and to which node is in its environment: DRAIN_ACTION (`drain` or `undrain`), NODE_ID, NODE_IP, NODE_GROUP,
 * INSTANCE_ID.
 */
export function drainCommand(command: string, args: readonly string[], timeoutMs: number): Drain {
  const run = async (action: "drain" | "undrain", target: DrainTarget) => {
    const env = {
      ...process.env,
      DRAIN_ACTION: action,
      NODE_ID: target.nodeId,
      NODE_IP: target.ip,
      NODE_GROUP: target.group,
      INSTANCE_ID: target.instanceId,
    };
    try {
      await promisify(execFile)(command, [...args], { env, timeout: timeoutMs });
    } catch (error) {
      const { stderr, code, killed } = error as { stderr?: string; code?: unknown; killed?: boolean };
      const end = killed ? `no end after ${timeoutMs} ms` : `ended with ${String(code)}`;
      throw new Error([`${command} ${end}`, stderr?.trim()].filter(Boolean).join(": "));
    }
  };
  return { drain: (target) => run("drain", target), undrain: (target) => run("undrain", target) };
}
