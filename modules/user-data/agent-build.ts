import { createHash } from "node:crypto";
import { version } from "../../agent/worker/release.json";
import { bundle } from "./boot-document";

/** The worker agent that was built with this version of the modules. */
export interface AgentBuild {
  readonly version: string;
  /** Hexadecimal, of `dist/worker-agent.mjs`. */
  readonly sha256: string;
}

/** @throws Error when it is not built. */
export function builtAgent(): AgentBuild {
  return { version, sha256: createHash("sha256").update(bundle("worker-agent")).digest("hex") };
}
