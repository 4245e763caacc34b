import { appendFileSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { boundFolder, capOutput, lastLines } from "../../../../agent/worker/daemon/daemon-output";
import { useScratch } from "../../../support/scratch";

const scratch = useScratch();

test("a daemon's output is cut beyond its cap, and its last lines are still told", async () => {
  const path = join(scratch.path, "output.log");
  writeFileSync(path, "one\ntwo\n");
  await capOutput(path, 8);
  expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");

  appendFileSync(path, "three\n");
  await capOutput(path, 8);
  appendFileSync(path, "four\n");

  expect(readFileSync(path, "utf8")).toBe("four\n");
  expect(await lastLines(path, 3)).toEqual(["two", "three", "four"]);
  expect(await lastLines(path, 1)).toEqual(["four"]);
});

test("a daemon's output is cut beyond its cap also where there is no room for what it was", async () => {
  const path = join(scratch.path, "output.log");
  writeFileSync(path, "one\ntwo\nthree\n");
  mkdirSync(`${path}.1`);

  await expect(capOutput(path, 8)).rejects.toThrow("output.log.1");

  expect(readFileSync(path, "utf8")).toBe("");
});

test("a folder of outputs is kept small: the old go, and the oldest beyond its bound", async () => {
  const files = { newest: "1234", newer: "1234", older: "1234", old: "" };
  const secondsAgo = { newest: 1, newer: 2, older: 3, old: 7_200 };
  for (const [name, content] of Object.entries(files)) {
    const path = join(scratch.path, name);
    writeFileSync(path, content);
    const time = Date.now() / 1_000 - secondsAgo[name as keyof typeof files];
    utimesSync(path, time, time);
  }

  await boundFolder(scratch.path, { keptMs: 3_600_000, maxBytes: 8 });

  expect(readdirSync(scratch.path).sort()).toEqual(["newer", "newest"]);
  await boundFolder(join(scratch.path, "absent"), { keptMs: 1, maxBytes: 1 });
});
