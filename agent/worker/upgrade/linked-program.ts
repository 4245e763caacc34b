import { lstatSync, readlinkSync } from "node:fs";
import { basename, dirname } from "node:path";

/** A link into a folder of versions, `<folder>/<version>/<file>`, and the version it points to now; undefined for anything else. */
export function linkedVersion(path: string): string | undefined {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return undefined;
  return basename(dirname(readlinkSync(path)));
}
