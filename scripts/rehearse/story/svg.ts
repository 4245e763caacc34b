import { NODE_STATES } from "./happening";
import { type Lane, lanesOf } from "./lanes";
import { verdictOf } from "./markdown";
import type { Chapter, Report } from "./report";
import type { Story } from "./story";
import { STYLE } from "./svg-style";
import { timeText } from "./time";

const WIDTH = 1000;
const MARGIN = 24;
const LANE = 30;
const BAR = 16;
const HEAD = 108;
const MARK = 9;
const COLUMN = 310;
const CHARACTER = 7.2;

/** The picture of a rehearsal: one lane per node, the events over them; for light and dark surroundings. */
export function svgOf(report: Report, happenings: Story["happenings"]): string {
  const lanes = lanesOf(happenings, report.durationMs);
  const names = Math.max(4, ...lanes.map(({ node }) => node.length)) * CHARACTER;
  const left = MARGIN + names + 14;
  const fromMs = Math.min(...lanes.map(({ spans }) => spans[0]?.fromMs ?? report.durationMs), report.durationMs);
  const spanMs = Math.max(1, report.durationMs - fromMs);
  const x = (ms: number) => left + ((Math.max(ms, fromMs) - fromMs) / spanMs) * (WIDTH - MARGIN - left);
  const bottom = HEAD + Math.max(1, lanes.length) * LANE;
  const legendTop = bottom + 46;
  const rows = Math.ceil(report.chapters.length / 3);
  const height = legendTop + rows * 20 + 44;
  const shown = report.chapters.map((chapter, index) => ({ chapter, number: index + 1 }));

  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title desc">`,
    `<title id="title">${escaped(`Rehearsal of ${report.deployment}`)}</title>`,
    `<desc id="desc">${escaped(`One lane for each node over ${timeText(spanMs)}. ${verdictOf(report)}`)}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${height}" rx="10"/>`,
    `<text class="head" x="${MARGIN}" y="36">${escaped(report.deployment)}</text>`,
    `<text class="${report.ok ? "well" : "bad"}" x="${WIDTH - MARGIN}" y="36" text-anchor="end">${escaped(verdictOf(report))}</text>`,
    ...axis(fromMs, report.durationMs, x, bottom),
    ...shown.filter(({ chapter }) => chapter.fromMs >= fromMs).flatMap(band(x, bottom, report.durationMs)),
    ...lanes.flatMap((lane, index) => laneBars(lane, HEAD + index * LANE, x)),
    ...marks(
      shown.filter(({ chapter }) => chapter.fromMs >= fromMs),
      lanes,
      x,
      bottom,
    ),
    ...shown.map(({ chapter, number }, index) =>
      legendEntry(chapter, number, MARGIN + (index % 3) * COLUMN, legendTop + Math.floor(index / 3) * 20),
    ),
    ...key(height - 22),
    "</svg>",
  ].join("\n")}\n`;
}

type X = (ms: number) => number;
interface Numbered {
  readonly chapter: Chapter;
  readonly number: number;
}

function laneBars({ node, spans, rolled }: Lane, top: number, x: X): string[] {
  const y = top + (LANE - BAR) / 2;
  const bar = (fromMs: number, untilMs: number, kind: string, title: string, at = y, thick = BAR) =>
    `<rect class="${kind}" x="${n(x(fromMs))}" y="${n(at)}" width="${n(Math.max(1.5, x(untilMs) - x(fromMs)))}" height="${thick}" rx="2">` +
    `<title>${escaped(title)}</title></rect>`;
  return [
    `<text class="node" x="${MARGIN}" y="${y + BAR - 4}">${escaped(node)}</text>`,
    ...spans.map(({ fromMs, untilMs, state, instance }) =>
      bar(
        fromMs,
        untilMs,
        state.replace(" ", "-"),
        `${node} ${state} for ${timeText(untilMs - fromMs)}${instance === undefined ? "" : ` (${instance})`}`,
      ),
    ),
    ...rolled.map(({ fromMs, untilMs }) =>
      bar(
        fromMs,
        untilMs,
        "rolling",
        `${node} in hand of the rolling update for ${timeText(untilMs - fromMs)}`,
        y - 5,
        3,
      ),
    ),
  ];
}

/** Where a chapter lies, over all lanes. */
const band =
  (x: X, bottom: number, endMs: number) =>
  ({ chapter }: Numbered): string[] => {
    const until = chapter.durationMs === undefined ? endMs : chapter.fromMs + chapter.durationMs;
    const width = Math.max(1, x(until) - x(chapter.fromMs));
    return [
      `<rect class="band" x="${n(x(chapter.fromMs))}" y="${HEAD - 6}" width="${n(width)}" height="${bottom - HEAD + 12}"/>`,
    ];
  };

/** Numbers over the lanes, on a second line where they would cover one another; and a sign on the lane of the node that was meant. */
function marks(shown: readonly Numbered[], lanes: readonly Lane[], x: X, bottom: number): string[] {
  const lastOnLine = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  return shown.flatMap(({ chapter, number }) => {
    const at = x(chapter.fromMs);
    const line = at - (lastOnLine[0] ?? 0) >= 2 * MARK + 2 ? 0 : 1;
    lastOnLine[line] = at;
    const y = HEAD - 20 - line * (2 * MARK + 2);
    const lane = lanes.findIndex(({ node }) => node === chapter.node);
    const target = HEAD + lane * LANE + LANE / 2;
    return [
      `<line class="mark" x1="${n(at)}" y1="${y + MARK}" x2="${n(at)}" y2="${bottom + 6}"/>`,
      badge(at, y, number, chapter.ok),
      ...(lane < 0 ? [] : [`<path class="hit" d="M${n(at)} ${target - 6} l6 6 l-6 6 l-6 -6 z"/>`]),
    ];
  });
}

function badge(x: number, y: number, number: number, ok: boolean): string {
  return (
    `<circle class="badge ${ok ? "ok" : "failed"}" cx="${n(x)}" cy="${n(y)}" r="${MARK}"/>` +
    `<text class="number" x="${n(x)}" y="${n(y + 4)}" text-anchor="middle">${number}</text>`
  );
}

function legendEntry({ title, durationMs, ok, outTogether }: Chapter, number: number, x: number, y: number): string {
  const took = durationMs === undefined ? "not finished" : timeText(durationMs);
  const out = outTogether === 0 ? "" : `, ${outTogether} out at once`;
  return (
    badge(x + MARK, y - 4, number, ok) +
    `<text class="entry" x="${x + 2 * MARK + 8}" y="${y}">${escaped(title)}<tspan class="faint" dx="6">${took}${out}</tspan></text>`
  );
}

function key(y: number): string[] {
  let x = MARGIN;
  return [...NODE_STATES, "rolling"].flatMap((state) => {
    const at = x;
    x += 26 + state.length * CHARACTER + 18;
    const [top, thick] = state === "rolling" ? [y - 6, 3] : [y - 10, 12];
    return [
      `<rect class="${state.replace(" ", "-")}" x="${n(at)}" y="${top}" width="18" height="${thick}" rx="2"/>`,
      `<text class="faint small" x="${n(at + 25)}" y="${y}">${state}</text>`,
    ];
  });
}

const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600];

/** Times since the first instance, in steps that a person counts in. */
function axis(fromMs: number, untilMs: number, x: X, bottom: number): string[] {
  const seconds = (untilMs - fromMs) / 1_000;
  const step = STEPS_S.find((candidate) => seconds / candidate <= 10) ?? 7_200;
  const ticks = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, index) => index * step);
  return ticks.flatMap((second) => {
    const at = n(x(fromMs + second * 1_000));
    return [
      `<line class="grid" x1="${at}" y1="${HEAD - 6}" x2="${at}" y2="${bottom + 6}"/>`,
      `<text class="faint small" x="${at}" y="${bottom + 20}" text-anchor="middle">${clockText(second)}</text>`,
    ];
  });
}

function clockText(second: number): string {
  if (second < 60) return `${Number(second.toFixed(1))} s`;
  return `${Math.floor(second / 60)}:${String(Math.round(second % 60)).padStart(2, "0")}`;
}

const n = (value: number) => Number(value.toFixed(1));

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
