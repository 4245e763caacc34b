import pc from "picocolors";
import type { RollEvent } from "../events";
import type { Manifest } from "../manifest";
import { formatDuration } from "./duration";

/** Where the roll is told: a table that is redrawn on a terminal, one JSON object a line elsewhere. */
export function progress(stream: NodeJS.WriteStream, manifest: Manifest, json: boolean): (event: RollEvent) => void {
  if (json || !stream.isTTY) return (event) => stream.write(`${JSON.stringify(event)}\n`);
  const table = new PhaseTable(manifest);
  let drawn = 0;
  return (event) => {
    table.note(event);
    const lines = table.lines(stream);
    if (drawn > 0) stream.write(`\u001b[${drawn}A\u001b[J`);
    stream.write(`${lines.join("\n")}\n`);
    drawn = lines.length;
  };
}

interface Row {
  phase: string;
  instance: string;
  detail: string;
}

/** One row a node: where it is, with which instance, and what it waits for. */
export class PhaseTable {
  readonly #rows: Map<string, Row>;
  #footer = "";

  constructor(manifest: Manifest) {
    this.#rows = new Map(manifest.nodes.map(({ id }) => [id, { phase: "-", instance: "", detail: "" }]));
  }

  note({ kind, node, phase, instance, reason, elapsedMs, etaMs }: RollEvent): void {
    const row = node === undefined ? undefined : this.#rows.get(node);
    if (row && phase !== undefined) {
      row.phase = phase;
      row.instance = instance ?? row.instance;
      row.detail = kind === "waiting" ? [formatDuration(elapsedMs), reason].filter(Boolean).join(": ") : (reason ?? "");
    }
    if (etaMs !== undefined) this.#footer = `about ${formatDuration(etaMs)} to go`;
    if (kind === "notice" || kind === "finished") this.#footer = `${formatDuration(elapsedMs)}: ${reason ?? ""}`;
  }

  /** As many lines as the terminal shows, none of which wraps: the cursor would come back to the wrong place. */
  lines({ columns, rows }: Partial<Pick<NodeJS.WriteStream, "columns" | "rows">> = {}): string[] {
    const width = columns || Number.POSITIVE_INFINITY;
    const shown = this.#shown((rows || Number.POSITIVE_INFINITY) - MARGIN);
    const lines = [...this.#rows].flatMap(([node, { phase, instance, detail }]) => {
      if (!shown.has(node)) return [];
      const before = node.padEnd(8);
      const line = [before, phase.padEnd(12), instance.padEnd(20), oneLine(detail)].join(" ");
      return painted(oneLine(line.trimEnd(), width), phase, before.length + 1);
    });
    const head = ["NODE".padEnd(8), "PHASE".padEnd(12), "INSTANCE".padEnd(20)].join(" ").trimEnd();
    const footer = [this.#rest(shown), this.#footer && oneLine(this.#footer)].filter(Boolean).join("; ");
    return [pc.dim(oneLine(head, width)), ...lines, ...(footer === "" ? [] : [oneLine(footer, width)])];
  }

  /** Of more nodes than there are lines those that something happens to come first, then those that are done. */
  #shown(lines: number): ReadonlySet<string> {
    const rank = ({ phase }: Row) => (phase === "-" ? 2 : phase === "done" ? 1 : 0);
    const ranked = [...this.#rows].sort(([, a], [, b]) => rank(a) - rank(b));
    return new Set(ranked.slice(0, Math.max(1, lines)).map(([node]) => node));
  }

  #rest(shown: ReadonlySet<string>): string {
    const hidden = [...this.#rows].filter(([node]) => !shown.has(node));
    const done = hidden.filter(([, { phase }]) => phase === "done").length;
    return hidden.length === 0 ? "" : `${hidden.length} more nodes, ${done} of them done`;
  }
}

/** Of a terminal's lines: the table's head and foot, and the line that the cursor is left on. */
const MARGIN = 3;

function painted(line: string, phase: string, at: number): string {
  const end = at + 12;
  const text = line.slice(at, end);
  const paint = phase === "done" ? pc.green : phase === "failed" ? pc.red : phase === "-" ? pc.dim : pc.cyan;
  return line.slice(0, at) + (text && paint(text)) + line.slice(end);
}

function oneLine(text: string, length = 70): string {
  const line = text.split("\n", 1)[0] ?? "";
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}
