/**
 * Builds the programs that user data carries: one minified ES module per program, for Node >= 20, written to dist/.
 * The same sources give the same bytes on every machine, since the bytes are part of a launch template version.
 */
import { buildSync } from "esbuild";

const PROGRAMS: Readonly<Record<string, string>> = {
  node: "agent/node/main.ts",
  worker: "agent/worker/main.ts",
};

buildSync({
  entryPoints: PROGRAMS,
  outdir: "dist",
  outExtension: { ".js": ".mjs" },
  bundle: true,
  minify: true,
  platform: "node",
  target: "node20",
  format: "esm",
  charset: "ascii",
  legalComments: "none",
  logLevel: "warning",
});
