import { npm } from "./npm";

/** Taken from npm where the Node.js that runs is older than others ask for. */
export const NODE_VERSION = "22.23.3";
const LEAST = { major: 22, minor: 18 };

/** Path of a Node.js of 22.18 or later: this one, or one from npm. @throws Error where npm has none to give. */
export async function newerNode(): Promise<string> {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > LEAST.major || (major === LEAST.major && minor >= LEAST.minor)) return process.execPath;
  return (
    await npm(["exec", "--yes", `--package=node@${NODE_VERSION}`, "--", "node", "-p", "process.execPath"])
  ).trim();
}
