import pc from "picocolors";
import type { Happening } from "./happening";
import type { Story } from "./story";
import { NodeTable } from "./table";
import { timeText } from "./time";

const REDRAW_MS = 200;

/**
 * Tells a story while it happens: on a terminal a table that is redrawn below what has ended, elsewhere one JSON object a line.
 *
 * @returns what ends it, and leaves the last table behind.
 */
export function tellLive(story: Story, stream: NodeJS.WriteStream, json: boolean): () => void {
  if (json || !stream.isTTY) {
    story.onTold((happening) => stream.write(`${JSON.stringify(happening)}\n`));
    return () => {};
  }
  const table = new NodeTable();
  let drawn = 0;
  const redraw = (above: readonly string[]) => {
    const lines = table.lines(story.elapsedMs, Math.max(40, (stream.columns ?? 80) - 1));
    const up = drawn > 0 ? `\u001b[${drawn}A\u001b[J` : "";
    stream.write(`${up}${[...above, ...lines].join("\n")}\n`);
    drawn = lines.length;
  };
  story.onTold((happening) => {
    table.note(happening);
    redraw(happening.kind === "ended" ? endedLines(story.happenings, happening) : []);
  });
  const ticking = setInterval(() => redraw([]), REDRAW_MS);
  return () => {
    clearInterval(ticking);
    redraw([]);
  };
}

/** What stays of a chapter. */
export function endedLines(
  happenings: readonly Happening[],
  ended: Extract<Happening, { kind: "ended" }>,
): readonly string[] {
  const began = happenings.find(
    ({ kind, ...it }) => kind === "began" && "chapter" in it && it.chapter === ended.chapter,
  );
  if (began?.kind !== "began") return [];
  const ok = ended.checks.every((check) => check.ok);
  return [
    `${ok ? pc.green("✓") : pc.red("✗")} ${began.title} ${pc.dim(timeText(ended.atMs - began.atMs))}`,
    ...ended.checks.map(({ ok: held, text }) => (held ? pc.dim(`  ${text}`) : pc.red(`  ${text}`))),
  ];
}
