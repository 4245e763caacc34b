import { lstatSync, readlinkSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";

/** A link into a folder of versions, `<folder>/<version>/<file>`, and the version it points to now; undefined for anything else. */
export function linkedVersion(path: string): string | undefined {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return undefined;
  return basename(dirname(readlinkSync(path)));
}

/** The file that a link points to, whether it says so from its own folder or from the root. */
export function linkedFile(link: string): string {
  return resolve(dirname(link), readlinkSync(link));
}
