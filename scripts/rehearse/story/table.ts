import pc from "picocolors";
import type { Happening, NodeState } from "./happening";
import { timeText } from "./time";

interface Row {
  state: NodeState;
  sinceMs: number;
  instance: string;
  phase: string;
  jobs: readonly string[];
}

/** The rehearsal as a table at a moment: what is under way, every node, and what was last to be noted. */
export class NodeTable {
  readonly #rows = new Map<string, Row>();
  #title = "";
  #beganMs = 0;
  #note = "";

  note(happening: Happening): void {
    switch (happening.kind) {
      case "began":
        this.#title = happening.title;
        this.#beganMs = happening.atMs;
        this.#note = happening.text;
        break;
      case "node": {
        const { node, state, atMs, instance = "" } = happening;
        const row = this.#rows.get(node);
        this.#rows.set(node, { state, sinceMs: atMs, instance, phase: row?.phase ?? "", jobs: row?.jobs ?? [] });
        break;
      }
      case "gone":
        this.#rows.delete(happening.node);
        break;
      case "rolling": {
        const row = this.#rows.get(happening.node);
        if (row) row.phase = happening.over ? "" : happening.phase;
        break;
      }
      case "jobs": {
        const row = this.#rows.get(happening.node);
        if (row) row.jobs = happening.jobs;
        break;
      }
      case "notice":
        this.#note = happening.node === undefined ? happening.text : `${happening.node}: ${happening.text}`;
        break;
    }
  }

  /** @param width what fits in a line: one that wraps would be redrawn in the wrong place */
  lines(nowMs: number, width: number): string[] {
    const rows = [...this.#rows].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
    const wide = Math.max(4, ...rows.map(([node]) => node.length)) + 2;
    const head = `${"NODE".padEnd(wide)}${"STATE".padEnd(12)}${"FOR".padEnd(12)}${"INSTANCE".padEnd(22)}`.trimEnd();
    return [
      `${pc.bold(cut(this.#title, width - 14))} ${pc.dim(timeText(nowMs - this.#beganMs))}`,
      ...(rows.length === 0 ? [] : [pc.dim(cut(head, width))]),
      ...rows.map(([node, { state, sinceMs, instance, phase, jobs }]) => {
        const before = node.padEnd(wide);
        const after =
          `${timeText(nowMs - sinceMs).padEnd(12)}${instance.padEnd(22)}${phase}${jobs.join(" ")}`.trimEnd();
        return `${before}${paint(state)}${cut(after, width - wide - 12)}`;
      }),
      ...(this.#note === "" ? [] : [pc.dim(cut(this.#note, width))]),
    ];
  }
}

function paint(state: NodeState): string {
  const text = state.padEnd(12);
  if (state === "in service") return pc.green(text);
  if (state === "down" || state === "unwell") return pc.red(text);
  return pc.yellow(text);
}

function cut(text: string, width: number): string {
  const line = text.split("\n", 1)[0] ?? "";
  return line.length > width ? `${line.slice(0, Math.max(0, width - 1))}…` : line;
}
