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
    const lines = table.lines();
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

  lines(): string[] {
    const rows = [...this.#rows].map(([node, { phase, instance, detail }]) =>
      [node.padEnd(8), paint(phase), instance.padEnd(20), oneLine(detail)].join(" ").trimEnd(),
    );
    const head = pc.dim(["NODE".padEnd(8), "PHASE".padEnd(12), "INSTANCE".padEnd(20), ""].join(" ").trimEnd());
    return [head, ...rows, ...(this.#footer === "" ? [] : [oneLine(this.#footer)])];
  }
}

function paint(phase: string): string {
  const text = phase.padEnd(12);
  if (phase === "done") return pc.green(text);
  if (phase === "failed") return pc.red(text);
  return phase === "-" ? pc.dim(text) : pc.cyan(text);
}

/** A redrawn line must not wrap, or the cursor would come back to the wrong place. */
function oneLine(text: string): string {
  const line = text.split("\n", 1)[0] ?? "";
  return line.length > 70 ? `${line.slice(0, 69)}…` : line;
}
