import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
} from "yaml";
import type { Problem } from "./problem";

/** Keys and indices from the document's root to a value. */
export type Path = readonly PropertyKey[];

/** One `---` of a YAML file, and where in the file each of its values stands. */
export interface YamlDocument {
  readonly file: string;
  readonly value: unknown;
  /** The problem `message` with the value at `path`, or with the nearest value around it that exists. */
  readonly problem: (path: Path, message: string) => Problem;
  /** The problem `message` with the key at the end of `path`. */
  readonly keyProblem: (path: Path, message: string) => Problem;
}

export interface YamlFile {
  readonly documents: readonly YamlDocument[];
  readonly problems: readonly Problem[];
}

/** A document that expands to more aliases than this is a mistake, or an attack on memory. */
const MAX_ALIASES = 100;

/** The documents of a file; what YAML itself forbids (bad syntax, a key twice, unknown tags) is a problem. */
export function parseYamlFile(file: string, text: string): YamlFile {
  const lines = new LineCounter();
  const documents: YamlDocument[] = [];
  const problems: Problem[] = [];
  const parsed = parseAllDocuments(text, { lineCounter: lines, merge: true, prettyErrors: false });
  const at = (offset: number, message: string): Problem => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1), message };
  };

  for (const document of Array.isArray(parsed) ? parsed : []) {
    const faults = [...document.errors, ...document.warnings];
    if (faults.length > 0) {
      problems.push(...faults.map(({ pos, message }) => at(pos[0], `not YAML: ${message}`)));
      continue;
    }
    try {
      const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
      const start = document.contents?.range?.[0] ?? document.range[0];
      documents.push({
        file,
        value,
        problem: (path, message) => at(valueOffset(document, path) ?? start, message),
        keyProblem: (path, message) => at(keyOffset(document, path) ?? start, message),
      });
    } catch (error) {
      problems.push(at(document.range[0], `not YAML: ${error instanceof Error ? error.message : error}`));
    }
  }
  if (documents.length === 0 && problems.length === 0) {
    problems.push(at(0, "no deployment in this file; describe one with the keys kind, name and aws"));
  }
  return { documents, problems };
}

function valueOffset(document: Document, path: Path): number | undefined {
  let offset = startOf(document.contents);
  let node: Node | null | undefined = document.contents;
  for (const segment of path) {
    node = child(document, node, segment);
    if (node === undefined || node === null) {
      return offset;
    }
    offset = startOf(node) ?? offset;
  }
  return offset;
}

function keyOffset(document: Document, path: Path): number | undefined {
  let node: Node | null | undefined = document.contents;
  for (const segment of path.slice(0, -1)) {
    node = child(document, node, segment);
  }
  const key = pairOf(document, node, path.at(-1) ?? "")?.key;
  return (isNode(key) ? startOf(key) : undefined) ?? valueOffset(document, path.slice(0, -1));
}

function child(document: Document, parent: Node | null | undefined, segment: PropertyKey): Node | null | undefined {
  const node = isAlias(parent) ? parent.resolve(document) : parent;
  if (isSeq(node)) {
    const item = node.items[Number(segment)];
    return isNode(item) ? item : undefined;
  }
  const value = pairOf(document, node, segment)?.value;
  return isNode(value) ? value : undefined;
}

function pairOf(document: Document, parent: Node | null | undefined, key: PropertyKey): Pair | undefined {
  const node = isAlias(parent) ? parent.resolve(document) : parent;
  if (!isMap(node)) {
    return undefined;
  }
  return (
    node.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === String(key)) ??
    node.items
      .filter((pair) => isScalar(pair.key) && pair.key.value === "<<" && isNode(pair.value))
      .map((pair) => pairOf(document, pair.value as Node, key))
      .find((pair) => pair !== undefined)
  );
}

function startOf(node: Node | null | undefined): number | undefined {
  return node?.range?.[0];
}
