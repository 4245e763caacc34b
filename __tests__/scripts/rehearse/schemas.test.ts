import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromJSONSchema } from "zod";
import { happeningJsonSchema } from "../../../scripts/rehearse/story/happening";
import { reportJsonSchema, reportOf } from "../../../scripts/rehearse/story/report";
import { REHEARSED, toldStory } from "./told-story";

const published = (name: string) =>
  JSON.parse(readFileSync(join(__dirname, "../../../docs/schema", `${name}.json`), "utf8"));

/** Problems of something as it is written, by the published schema alone. */
const problems = (name: string, value: unknown) =>
  fromJSONSchema(published(name)).safeParse(JSON.parse(JSON.stringify(value))).error?.issues ?? [];

const { story, endMs } = toldStory();
const report = reportOf(REHEARSED, story.happenings, endMs);

test("the published schemas are what the code has; `npm run schema` writes them", () => {
  expect(published("rehearsal-event")).toEqual(JSON.parse(JSON.stringify(happeningJsonSchema())));
  expect(published("rehearsal-report")).toEqual(JSON.parse(JSON.stringify(reportJsonSchema())));
});

test("every line of a story and every report keep to them", () => {
  expect(story.happenings.flatMap((happening) => problems("rehearsal-event", happening))).toEqual([]);
  const reports = [
    report,
    reportOf({ ...REHEARSED, failure: "podman is gone" }, [], 0),
    reportOf({ ...REHEARSED, interrupted: true }, story.happenings.slice(0, 3), endMs),
  ];
  expect(reports.map((each) => problems("rehearsal-report", each))).toEqual([[], [], []]);
});

test.each([
  ["a kind that is not there", "rehearsal-event", { ...story.happenings[0], kind: "telling" }],
  ["an unknown key", "rehearsal-event", { ...story.happenings[0], more: 1 }],
  ["a report without its chapters", "rehearsal-report", { ...report, chapters: undefined }],
  ["a duration in words", "rehearsal-report", { ...report, durationMs: "20 s" }],
])("%s is refused", (_, name, value) => {
  expect(problems(name, value)).not.toEqual([]);
});
