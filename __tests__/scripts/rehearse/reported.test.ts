import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openOutput } from "../../../scripts/rehearse/output";
import { reported } from "../../../scripts/rehearse/reported";
import type { Report } from "../../../scripts/rehearse/story/report";
import { Story } from "../../../scripts/rehearse/story/story";
import { WrongUse } from "../../../scripts/rehearse/wrong-use";
import { useScratch } from "../../support/scratch";

const scratch = useScratch();

function rehearsal() {
  const story = new Story(() => 0);
  const ended = new AbortController();
  const ending = { signal: ended.signal, stays: false };
  const told = { deployment: "orders", machines: "none", remarks: [], startedAt: "2026-05-01T12:00:00.000Z" } as const;
  const run = (work: Parameters<typeof reported>[3], stays = false) =>
    reported(openOutput(scratch.path, story), told, { ...ending, stays }, work);
  const written = (): Report => JSON.parse(readFileSync(join(scratch.path, "report.json"), "utf8"));
  return { story, ended, run, written };
}

const failsWith = (error: Error) => async (remark: (text: string) => void) => {
  remark("Addresses are others.");
  throw error;
};

test("a rehearsal that fails by itself leaves a report that says why, and the error", async () => {
  const { story, run, written } = rehearsal();
  story.tell({ kind: "began", chapter: 0, title: "plan", text: "plan" });

  await expect(run(failsWith(new Error("podman is gone")))).rejects.toThrow("podman is gone");

  expect(written()).toMatchObject({ ok: false, failure: "podman is gone", remarks: ["Addresses are others."] });
  expect(written().chapters.map(({ title }) => title)).toEqual(["plan"]);
  expect(readFileSync(join(scratch.path, "report.md"), "utf8")).toContain(
    "The rehearsal itself failed: podman is gone",
  );
});

test("what has to be changed before anything can be rehearsed leaves no report", async () => {
  const { run } = rehearsal();
  await expect(run(failsWith(new WrongUse("no such node", "name another")))).rejects.toThrow("no such node");
  expect(existsSync(join(scratch.path, "report.json"))).toBe(false);
});

test("an interruption is no failure; of one that stays it is the end", async () => {
  const { ended, run, written } = rehearsal();
  ended.abort();
  expect(await run(failsWith(new Error("aborted")))).toMatchObject({ interrupted: true, failure: undefined });
  await run(async () => {}, true);
  expect(written()).toMatchObject({ interrupted: false });
});
