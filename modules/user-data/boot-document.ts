import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A stretch of the document: what it is, for the account of sizes, and the text. */
export interface DocumentPart {
  readonly name: string;
  readonly text: string;
}

/** A file that the document writes; its content ends with a newline. */
export interface DocumentFile {
  readonly path: string;
  /** May be a token. */
  readonly content: string;
  /** Permission bits. @default 0o644 */
  readonly mode?: number;
}

const BUNDLES = join(__dirname, "../../dist");

/** Ends every file in the document. */
const END_OF_FILE = "@end-of-file@";

/** The script's functions, and the program: what is the same for every instance that boots it. */
export function programParts(program: string): DocumentPart[] {
  const [shebang = "", ...functions] = shellScript("boot.sh").split("\n");
  return [
    { name: "boot.sh", text: [shebang, `program=${program}`, ...functions].join("\n") },
    filePart({ path: "/opt/holdfast/aws.sh", content: shellScript("aws.sh") }),
    filePart({ path: `/opt/holdfast/${program}.mjs`, content: bundle(program) }),
  ];
}

/** A script of this folder, less comments and indentation. */
export function shellScript(name: string): string {
  return readFileSync(join(__dirname, name), "utf8").replace(/^\s+|^#(?!!).*\n/gm, "");
}

export function filePart({ path, content, mode }: DocumentFile): DocumentPart {
  if (content.split("\n").includes(END_OF_FILE)) {
    throw new Error(`${path}: no line of a file in user data may be ${END_OF_FILE}`);
  }
  const chmod = mode === undefined ? "" : `chmod ${mode.toString(8)} ${path}\n`;
  const write = `mkdir -p ${path.slice(0, path.lastIndexOf("/"))}\ncat >${path} <<'${END_OF_FILE}'\n`;
  return { name: path, text: `${write}${content.replace(/\n$/, "")}\n${END_OF_FILE}\n${chmod}` };
}

/** The last line: everything before it has only defined and written. */
export const START: DocumentPart = { name: "start", text: "boot\n" };

/** @throws Error when the program is not built. */
export function bundle(program: string): string {
  try {
    return readFileSync(join(BUNDLES, `${program}.mjs`), "utf8");
  } catch (error) {
    throw new Error(`the program ${program} is not built: run npm run bundle`, { cause: error });
  }
}
