import { readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../emulator/child";
import { type StackSummary, summarizeStack } from "./stack-summary";

/**
 * Builds the bundles and runs the app, as `npm run synth` does, and summarizes what it wrote to `outdir`.
 *
 * @throws Error with what the app printed.
 */
export async function synthesizeAll(outdir: string, signal: AbortSignal): Promise<StackSummary[]> {
  for (const program of [["scripts/bundle.ts"], ["main.ts", "--output", outdir]]) {
    const { code, stderr } = await run(process.execPath, ["--import", "tsx", ...program], { signal });
    if (code !== 0) {
      throw new Error(stderr.trim());
    }
  }
  const { stacks } = readJson(join(outdir, "manifest.json"));
  return Object.values(stacks as Record<string, { name: string; synthesizedStackPath: string }>).map(
    ({ name, synthesizedStackPath }) => summarizeStack(name, readJson(join(outdir, synthesizedStackPath))),
  );
}

function readJson(path: string) {
  return JSON.parse(readFileSync(path, "utf8"));
}
