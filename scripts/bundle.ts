/**
 * Builds the programs that user data carries: one minified ES module per program, for Node >= 20, written to dist/.
 * The same sources give the same bytes on every machine, since the bytes are part of a launch template version.
 */
import { type BuildOptions, buildSync } from "esbuild";

const PROGRAMS: Readonly<Record<string, string>> = {
  node: "agent/node/main.ts",
  worker: "agent/worker/main.ts",
};

/** Installed by the worker, not carried by user data; its packages are CommonJS modules, which ask for `require`. */
const DAEMON: Readonly<Record<string, string>> = { daemon: "agent/daemon/main.ts" };

const OPTIONS: BuildOptions = {
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
};

buildSync({ ...OPTIONS, entryPoints: PROGRAMS });
buildSync({
  ...OPTIONS,
  entryPoints: DAEMON,
  external: ["pg-native"],
  banner: { js: 'import{createRequire}from"node:module";const require=createRequire(import.meta.url);' },
});
