import { statSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { run } from "../emulator/child";
import { dependencies } from "./peers/package.json";

/** Has packages of its own, which need a newer Node.js than this project: they are installed where they are wanted. */
export const PEERS = join(__dirname, "peers");

/** As published: the version that is measured. */
export const versionOf = (peer: keyof typeof dependencies): string => dependencies[peer];

/** Installs what the lock has, unless it is there. @param node that npm runs on @throws Error where npm can't */
export async function installPeers(node: string): Promise<void> {
  if (isInstalled()) return;
  const PATH = [dirname(node), process.env["PATH"]].join(delimiter);
  const args = ["ci", `--prefix=${PEERS}`, "--ignore-scripts", "--no-audit", "--no-fund"];
  const { code, stderr } = await run("npm", args, { env: { ...process.env, PATH } });
  if (code !== 0) throw new Error(`npm ${args.join(" ")} ended with ${code}:\n${stderr}`);
}

/** npm keeps what it has installed in a lock of its own, written last. */
function isInstalled(): boolean {
  const installed = statSync(join(PEERS, "node_modules", ".package-lock.json"), { throwIfNoEntry: false });
  return installed !== undefined && installed.mtimeMs >= statSync(join(PEERS, "package-lock.json")).mtimeMs;
}
