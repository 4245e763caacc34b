import { readFileSync } from "node:fs";
import { OperatorError } from "./operator-error";

/** The places a secret may come from. Never the command line, which every user of the machine can read. */
export interface SecretSource {
  /** For messages: "the password". */
  readonly what: string;
  readonly variable: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A path, or `-` for standard input. */
  readonly file: string | undefined;
  /** The option that names the file. */
  readonly option: string;
}

/** Reads a secret from the file that was named, else from its variable. A line break at the end does not belong to it. */
export function readSecret(source: SecretSource): string {
  const secret = source.file === undefined ? source.environment[source.variable] : fileContent(source, source.file);
  const trimmed = secret?.replace(/\r?\n$/, "");
  if (trimmed) return trimmed;
  throw new OperatorError("SECRET_MISSING", `${source.what} is missing`, {
    next: `name a file with ${source.option} (- for standard input), or set ${source.variable}`,
  });
}

function fileContent({ what, option }: SecretSource, file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    throw new OperatorError("SECRET_UNREADABLE", `${what} cannot be read from ${file}`, {
      where: String((error as Error).message),
      next: `name a file that you can read with ${option}`,
    });
  }
}
