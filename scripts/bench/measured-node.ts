import { spawn } from "node:child_process";
import { once } from "node:events";

export interface Usage {
  /** Processor time, user and system: steadier than the clock on a machine that does other things too. */
  readonly cpuMs: number;
  readonly maxRssMiB: number;
}

const REPORT = `import { writeSync } from "node:fs";
process.on("exit", () => writeSync(3, JSON.stringify(process.resourceUsage())));`;

/**
 * Runs node with `args` several times, each in a process of its own, and gives the least that one of them used.
 *
 * @throws Error with what it printed, if it fails.
 */
export async function measureNode(args: readonly string[], runs = 3): Promise<Usage> {
  const usages: Usage[] = [];
  for (let i = 0; i < runs; i++) {
    usages.push(await measureOnce(args));
  }
  return {
    cpuMs: Math.min(...usages.map(({ cpuMs }) => cpuMs)),
    maxRssMiB: Math.min(...usages.map(({ maxRssMiB }) => maxRssMiB)),
  };
}

async function measureOnce(args: readonly string[]): Promise<Usage> {
  const preload = `data:text/javascript,${encodeURIComponent(REPORT)}`;
  const child = spawn(process.execPath, ["--import", preload, ...args], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  let stderr = "";
  let report = "";
  child.stderr?.on("data", (chunk) => {
    stderr += chunk;
  });
  child.stdio[3]?.on("data", (chunk) => {
    report += chunk;
  });
  const [code] = await once(child, "close");
  if (code !== 0) {
    throw new Error(`node ${args.join(" ")}\n${stderr}`);
  }
  const { userCPUTime, systemCPUTime, maxRSS } = JSON.parse(report);
  return { cpuMs: (userCPUTime + systemCPUTime) / 1_000, maxRssMiB: maxRSS / 1_024 };
}
