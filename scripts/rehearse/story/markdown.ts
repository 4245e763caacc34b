import type { Chapter, Report } from "./report";
import { timeText } from "./time";

/** The report for people. @param picture path of the timeline, relative to the text */
export function markdownOf(report: Report, picture: string): string {
  const { deployment, machines, remarks, startedAt, chapters, nodes, durationMs, interrupted } = report;
  const writes = chapters.some(({ longestGapMs }) => longestGapMs !== undefined);
  const head = ["", "took", "out at once", "out of service", ...(writes ? ["longest without a write"] : []), ""];
  return [
    `# Rehearsal of ${deployment}`,
    "",
    `${verdictOf(report)} ${timeText(durationMs)}, machines: ${machines}, ${startedAt}.`,
    "",
    `![Every node over time](${picture})`,
    "",
    ...row(head),
    ...row(head.map(() => "---")),
    ...chapters.flatMap((chapter) => row(cells(chapter, writes))),
    "",
    "## What was to be shown",
    "",
    ...chapters.flatMap(({ title, checks, durationMs: took }) => [
      ...checks.map(({ ok, text }) => `- ${ok ? "✓" : "**✗**"} ${title}: ${escaped(text)}`),
      ...(took === undefined ? [`- **✗** ${title}: ${interrupted ? "interrupted" : "not finished"}`] : []),
    ]),
    "",
    "## Nodes",
    "",
    ...row(["node", "first in service after", "instances"]),
    ...row(["---", "---", "---"]),
    ...nodes.flatMap(({ node, firstInServiceMs, instances }) =>
      row([node, firstInServiceMs === undefined ? "never" : timeText(firstInServiceMs), instances.join(", ")]),
    ),
    ...(remarks.length === 0 ? [] : ["", "## Different from AWS", "", ...remarks.map((remark) => `- ${remark}`)]),
    "",
  ].join("\n");
}

/** One sentence. */
export function verdictOf({ ok, interrupted, failure, chapters }: Report): string {
  if (failure !== undefined) return `The rehearsal itself failed: ${failure}`;
  if (interrupted) return "Interrupted.";
  if (ok) return "All went well.";
  const failed = chapters.filter((chapter) => !chapter.ok).map(({ title }) => title);
  return `Failed: ${failed.join(", ")}.`;
}

function cells({ title, durationMs, outTogether, outOfServiceMs, longestGapMs, ok }: Chapter, writes: boolean) {
  const out = Object.entries(outOfServiceMs).map(([node, ms]) => `${node} ${timeText(ms)}`);
  return [
    title,
    durationMs === undefined ? "not finished" : timeText(durationMs),
    String(outTogether),
    out.join(", "),
    ...(writes ? [longestGapMs === undefined ? "" : timeText(longestGapMs)] : []),
    ok ? "✓" : "**✗**",
  ];
}

const row = (values: readonly string[]) => [`| ${values.map(escaped).join(" | ")} |`];
const escaped = (text: string) => text.replaceAll("\n", " ").replaceAll("|", "\\|");
