import { appendFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { markdownOf } from "./story/markdown";
import { type Rehearsed, type Report, reportOf } from "./story/report";
import type { Story } from "./story/story";
import { svgOf } from "./story/svg";

const FILES = { markdown: "report.md", json: "report.json", picture: "timeline.svg", story: "story.ndjson" } as const;

/** Where a rehearsal leaves what it has to show. */
export interface Output {
  readonly directory: string;
  /** A node's console, which grows while it runs. */
  writeLog(node: string, instance: string, text: string): void;
  /** @returns the report as it was written */
  writeReport(rehearsed: Rehearsed): Report;
}

/** Takes the place of what the rehearsal before left in `directory`, and notes every happening from now on. */
export function openOutput(directory: string, story: Story): Output {
  mkdirSync(directory, { recursive: true });
  for (const name of [...Object.values(FILES), "logs"]) rmSync(join(directory, name), { recursive: true, force: true });
  mkdirSync(join(directory, "logs"));
  story.onTold((happening) => appendFileSync(join(directory, FILES.story), `${JSON.stringify(happening)}\n`));

  return {
    directory,
    writeLog: (node, instance, text) => {
      const file = join(directory, "logs", `${node.replaceAll("/", "-")}.log`);
      writeFileSync(file, `=== ${instance}\n${text}${text.endsWith("\n") ? "" : "\n"}`, { flag: "a" });
    },
    writeReport: (rehearsed) => {
      const report = reportOf(rehearsed, story.happenings, story.elapsedMs);
      writeFileSync(join(directory, FILES.json), `${JSON.stringify(report, null, 2)}\n`);
      writeFileSync(join(directory, FILES.markdown), markdownOf(report, FILES.picture));
      writeFileSync(join(directory, FILES.picture), svgOf(report, story.happenings));
      return report;
    },
  };
}
