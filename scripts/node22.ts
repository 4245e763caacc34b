import { execFileSync } from "node:child_process";

/** Of the npm package `node`, which ships the program. */
const VERSION = "22.23.3";
/** What graphile-worker asks for. */
const LEAST_MINOR = 18;

const HERE = { version: process.versions.node, program: process.execPath };

/**
 * The program of a Node.js 22.18 or later: the one `here` where it is one, and says so, else one that npm fetches into its cache.
 *
 * @throws Error where npm cannot fetch it.
 */
export function node22(here = HERE, say: (line: string) => void = console.log): string {
  const [major = 0, minor = 0] = here.version.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= LEAST_MINOR)) {
    say(`Node.js ${here.version} is here already: the npm package node@${VERSION} is not fetched`);
    return here.program;
  }
  const fetched = ["exec", "--yes", `--package=node@${VERSION}`, "--", "node", "--print", "process.execPath"];
  return execFileSync("npm", fetched, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim();
}
