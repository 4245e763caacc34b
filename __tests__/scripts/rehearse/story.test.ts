import { stripVTControlCharacters } from "node:util";
import { XMLParser } from "fast-xml-parser";
import { happeningSchema } from "../../../scripts/rehearse/story/happening";
import { lanesOf } from "../../../scripts/rehearse/story/lanes";
import { endedLines } from "../../../scripts/rehearse/story/live";
import { markdownOf } from "../../../scripts/rehearse/story/markdown";
import { reportOf } from "../../../scripts/rehearse/story/report";
import { mostOutTogether, outOfService } from "../../../scripts/rehearse/story/service";
import { svgOf } from "../../../scripts/rehearse/story/svg";
import { NodeTable } from "../../../scripts/rehearse/story/table";
import { REHEARSED, toldStory } from "./told-story";

const { story, endMs } = toldStory();
const { happenings } = story;

test("every happening is one line of JSON that fits its schema", () => {
  for (const happening of happenings) {
    expect(happeningSchema.parse(JSON.parse(JSON.stringify(happening)))).toEqual(happening);
  }
});

test("lanes hold what each node was from one moment to the next, up to now", () => {
  const [first, second] = lanesOf(happenings, endMs);
  expect(second?.node).toBe("01");
  expect(second?.spans.map(({ fromMs, untilMs, state, instance }) => [fromMs, untilMs, state, instance])).toEqual([
    [10_000, 12_000, "booting", "i-01a"],
    [12_000, 15_000, "in service", "i-01a"],
    [15_000, 16_000, "down", undefined],
    [16_000, 19_000, "booting", "i-01b"],
    [19_000, 23_000, "in service", "i-01b"],
    [23_000, 24_000, "leaving", "i-01b"],
    [24_000, 25_500, "booting", "i-01c"],
    [25_500, 27_000, "in service", "i-01c"],
  ]);
  expect(first?.rolled).toEqual([{ fromMs: 20_000, untilMs: 22_600 }]);
});

test("a node that is not wanted any more has no lane from there on", () => {
  const gone = [...happenings, { kind: "gone", node: "01", atMs: 26_500, text: "" } as const];
  expect(lanesOf(gone, endMs)[1]?.spans.at(-1)).toMatchObject({ state: "in service", untilMs: 26_500 });
});

test("nodes are out together when their times without service meet, and only within the time that is asked for", () => {
  expect(mostOutTogether(happenings, 15_000, 19_000)).toBe(1);
  expect(mostOutTogether(happenings, 20_000, 26_000)).toBe(2);
  expect(mostOutTogether(happenings, 12_500, 14_000)).toBe(0);
  expect(mostOutTogether(happenings, 17_000, 18_000)).toBe(1);
  expect(outOfService(happenings, 15_000, 19_000)).toEqual({ "01": 4_000 });
  expect(outOfService(happenings, 16_000, 17_000)).toEqual({ "01": 1_000 });
  expect(outOfService(happenings, 20_000, 26_000)).toEqual({ "00": 4_000, "01": 2_500 });
});

describe("the report", () => {
  const report = reportOf(REHEARSED, happenings, endMs);

  test("tells of every chapter how long it took, what it cost and whether it held", () => {
    expect(report).toMatchObject({ ok: false, durationMs: 27_000, deployment: "orders & co" });
    expect(
      report.chapters.map(({ title, durationMs, outTogether, ok }) => [title, durationMs, outTogether, ok]),
    ).toEqual([
      ["plan", 4_000, 0, true],
      ["apply", 5_000, 0, true],
      ["boot", 3_000, 2, true],
      ["lose 01", 4_000, 1, true],
      ["roll", 6_000, 2, false],
    ]);
    expect(report.chapters[3]).toMatchObject({ longestGapMs: 1_200, outOfServiceMs: { "01": 4_000 } });
    expect(report.nodes).toEqual([
      { node: "00", firstInServiceMs: 2_000, instances: ["i-00a", "i-00b", "i-00c"] },
      { node: "01", firstInServiceMs: 2_000, instances: ["i-01a", "i-01b", "i-01c"] },
    ]);
  });

  test("of a rehearsal without a failed check is well; of one that was interrupted it is not", () => {
    const well = happenings.filter(({ atMs }) => atMs < 20_000);
    expect(reportOf(REHEARSED, well, 20_000).ok).toBe(true);
    expect(reportOf({ ...REHEARSED, interrupted: true }, well, 20_000).ok).toBe(false);
    const cutShort = reportOf(REHEARSED, well.slice(0, -1), 20_000);
    expect(cutShort).toMatchObject({ ok: false });
    expect(cutShort.chapters.at(-1)).toMatchObject({ title: "lose 01", durationMs: undefined, ok: false });
  });

  test("is Markdown that names what failed and shows the picture", () => {
    const text = markdownOf(report, "timeline.svg");
    expect(text).toContain("# Rehearsal of orders & co\n\nFailed: roll. 27.0 s, machines: none");
    expect(text).toContain("![Every node over time](timeline.svg)");
    expect(text).toContain("| lose 01 | 4.0 s | 1 | 01 4.0 s | 1.2 s | ✓ |");
    expect(text).toContain("- **✗** roll: 2 nodes were down at once \\| never more than 1");
    expect(text).toContain("| 01 | 2.0 s | i-01a, i-01b, i-01c |");
    expect(text).toContain("- Nodes have addresses in 10.183.0.0/16.");
  });
});

describe("the picture", () => {
  const svg = svgOf(reportOf(REHEARSED, happenings, endMs), happenings);
  const bars = (kind: string) => [
    ...svg.matchAll(new RegExp(`<rect class="${kind}" x="([\\d.]+)" y="[\\d.]+" width="([\\d.]+)"[^>]*><title>`, "g")),
  ];

  test("is one well-formed document that says what it shows, in two sets of colours", () => {
    const parsed = new XMLParser({ ignoreAttributes: false }).parse(svg, true);
    expect(parsed.svg.title["#text"]).toBe("Rehearsal of orders & co");
    expect(svg).toContain("prefers-color-scheme:dark");
  });

  test("has one bar for each stretch of time, as long as that was, within its frame", () => {
    expect(bars("in-service")).toHaveLength(2 + 3);
    const [boot, again] = bars("booting").map(([, , width]) => Number(width));
    expect((again ?? 0) / (boot ?? 1)).toBeCloseTo(1_500 / 2_000, 2);
    for (const [, x, width] of svg.matchAll(/<rect class="[a-z-]+" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g)) {
      expect(Number(x) + Number(width)).toBeLessThanOrEqual(1_000);
    }
  });

  test("numbers what happened once there were nodes, and lists all of it", () => {
    const badges = [...svg.matchAll(/class="badge/g)];
    expect(badges).toHaveLength(2 + 5);
    for (const title of ["plan", "apply", "boot", "lose 01", "roll"]) expect(svg).toContain(`>${title}<tspan`);
  });

  test("of a rehearsal that had no node at all is a picture still", () => {
    const none = happenings.slice(0, 2);
    const empty = svgOf(reportOf(REHEARSED, none, 4_000), none);
    expect(new XMLParser().parse(empty, true)).toHaveProperty("svg");
    expect(empty).not.toContain("NaN");
    expect(empty).not.toContain("Infinity");
  });
});

test("the table shows what each node is, since when, and what the rolling update does to it", () => {
  const table = new NodeTable();
  for (const happening of happenings.filter(({ atMs }) => atMs <= 23_500)) table.note(happening);
  const lines = table.lines(24_000, 100).map(stripVTControlCharacters);
  expect(lines[0]).toBe("roll 4.0 s");
  expect(lines.slice(1)).toEqual([
    "NODE  STATE       FOR         INSTANCE",
    "00    in service  1.5 s       i-00c",
    "01    leaving     1.0 s       i-01b                 launching",
    "roll",
  ]);
  for (const line of table.lines(24_000, 40).map(stripVTControlCharacters)) expect(line.length).toBeLessThanOrEqual(40);
});

test("what has ended stays above the table with its checks", () => {
  const ended = happenings.findLast(({ kind }) => kind === "ended");
  if (ended?.kind !== "ended") throw new Error("nothing ended");
  expect(endedLines(happenings, ended).map(stripVTControlCharacters)).toEqual([
    "✗ roll 6.0 s",
    "  2 nodes were down at once | never more than 1",
  ]);
});
