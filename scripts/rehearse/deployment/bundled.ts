import { resolve } from "node:path";
import { run } from "../../emulator/child";

export const REPOSITORY = resolve(__dirname, "../../..");

/** Builds the programs that user data carries and release buckets hold. @throws Error with what the bundler objects to */
export async function bundlePrograms(signal: AbortSignal): Promise<void> {
  const args = ["--import", "tsx", "scripts/bundle.ts"];
  const { code, stderr } = await run(process.execPath, args, { signal, cwd: REPOSITORY });
  if (code !== 0) throw new Error(`scripts/bundle.ts: ${stderr.trim()}`);
}
