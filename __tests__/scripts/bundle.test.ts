import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import buildBundles from "../support/build-bundles";

const DIST = resolve(__dirname, "../../dist");

const asWritten = () =>
  readdirSync(DIST).map((name) => {
    const { ino, mtimeMs } = statSync(join(DIST, name));
    return { name, ino, mtimeMs };
  });

test("a build of the same sources leaves the programs as they are: another synthesis may read them at the same time", () => {
  const before = asWritten();
  expect(before.map(({ name }) => name)).toContain("node.mjs");

  buildBundles();

  expect(asWritten()).toEqual(before);
}, 60_000);
