import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../../../scripts/rehearse/run-command";
import { happeningSchema } from "../../../scripts/rehearse/story/happening";
import type { Report } from "../../../scripts/rehearse/story/report";
import { eventually } from "../../support/eventually";
import { useScratch } from "../../support/scratch";
import { page } from "./terminal";

jest.setTimeout(600_000);

const CLUSTER = join(__dirname, "../../fixtures/small-cluster.yaml");
const scratch = useScratch();

const rehearse = (deployment: string, flags: Parameters<typeof runCommand>[1]) => {
  const [stdout, stderr] = [page(), page()];
  const output = join(scratch.path, "out");
  const surroundings = { stdout: stdout.stream, stderr: stderr.stream, exit: () => {} };
  const code = runCommand(deployment, { output, machines: "none", ...flags }, surroundings);
  return { code, output, stdout, stderr };
};

test("a cluster is planned, applied and booted; it survives a lost node and a release that cannot boot; and all of it is told", async () => {
  const environment = { ...process.env };
  const { code, output, stdout, stderr } = rehearse(CLUSTER, { event: ["lose 01", "bad-config"] });

  expect([await code, stderr.text()]).toEqual([0, expect.stringMatching(/^All went well\. .*report\.md\n$/)]);
  const report: Report = JSON.parse(readFileSync(join(output, "report.json"), "utf8"));
  expect(report.chapters.map(({ title, ok }) => [title, ok])).toEqual([
    ["plan", true],
    ["apply", true],
    ["boot", true],
    ["lose 01", true],
    ["bad-config", true],
  ]);
  const shown = report.chapters.flatMap(({ checks }) => checks.map(({ text }) => text));
  expect(shown).toEqual(
    expect.arrayContaining([
      "2 of 2 nodes are in service",
      "it has its address 10.50.16.10",
      expect.stringMatching(/^it has its data: vol-/),
      "no other node left service",
      expect.stringMatching(/^the roll stopped: HOOK_ABANDONED/),
      "it touched 00 alone",
      "the next release went through without a hand",
    ]),
  );
  expect(report.nodes.map(({ node }) => node)).toEqual(["00", "01"]);
  expect(report.remarks).toContain("Its applies roll nothing here: the rehearsal rolls, and watches.");

  const told = stdout.text().trimEnd().split("\n");
  expect(told.map((line) => happeningSchema.parse(JSON.parse(line)).kind)).toContain("rolling");
  expect(readFileSync(join(output, "story.ndjson"), "utf8").trimEnd().split("\n")).toEqual(told);
  expect(readdirSync(output).sort()).toEqual(["logs", "report.json", "report.md", "story.ndjson", "timeline.svg"]);
  expect(readFileSync(join(output, "logs/01.log"), "utf8")).toContain("has booted");
  expect(process.env).toEqual(environment);
});

test.each(["SIGINT", "SIGHUP"] as const)("%s leaves the report of what has happened so far", async (signal) => {
  const { code, output, stdout, stderr } = rehearse(CLUSTER, {});
  await eventually(async () => stdout.text().includes('"kind":"began"') || undefined);
  process.emit(signal);

  expect(await code).toBe(130);
  expect(stderr.text()).toContain("Interrupted.");
  expect(readFileSync(join(output, "report.md"), "utf8")).toContain("- **✗** plan: interrupted");
});
