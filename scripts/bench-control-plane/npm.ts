import type { SpawnOptions } from "node:child_process";
import { run } from "../emulator/child";

/** What npm prints. @throws Error with what it says, where it fails. */
export async function npm(args: readonly string[], options: SpawnOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run("npm", args, options);
  if (code !== 0) throw new Error(`npm ${args.join(" ")} ended with ${code}:\n${stderr}`);
  return stdout;
}
