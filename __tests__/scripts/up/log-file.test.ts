import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileDestination } from "../../../scripts/up/log-file";
import { useScratch } from "../../support/scratch";

const scratch = useScratch();

it("has written a line when the call returns, for its owner alone", () => {
  const path = join(scratch.path, "log");

  fileDestination(path).write("one\n");

  expect([readFileSync(path, "utf8"), statSync(path).mode & 0o777]).toEqual(["one\n", 0o600]);
});

it("loses a line that cannot be written, as on a full disk, and whoever says it goes on", () => {
  const full = fileDestination("/dev/full");

  expect(() => full.write("one\n")).not.toThrow();
});
