import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A directory that a test writes to. */
export interface Scratch {
  readonly path: string;
  /** Writes `text` to the file `name` below the directory and gives its absolute path. */
  readonly write: (name: string, text: string) => string;
}

/** Gives every test of the file an empty directory of its own, removed once every hook after the test has ended what writes there. */
export function useScratch(): Scratch {
  let path = "";
  const remove = () => {
    if (path !== "") rmSync(path, { recursive: true });
  };
  beforeEach(() => {
    remove();
    path = mkdtempSync(join(tmpdir(), "holdfast-test-"));
  });
  afterAll(remove);
  return {
    get path() {
      return path;
    },
    write: (name, text) => {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
      return file;
    },
  };
}

/** Text of every file below `directory` by its relative name; what `skip` matches is left out. */
export function contentsOf(directory: string, skip = /(^|\/)\.terraform\//): Record<string, string> {
  return Object.fromEntries(
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !skip.test(path))
      .sort()
      .map((path) => [path.slice(directory.length + 1), readFileSync(path, "utf8")]),
  );
}
