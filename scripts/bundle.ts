/**
 * Builds the programs that user data carries: one minified ES module per program, for Node >= 20, written to dist/.
 * The same sources give the same bytes on every machine, since the bytes are part of a launch template version.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { compress } from "brotli-wasm";
import { Command } from "commander";
import { type BuildOptions, buildSync } from "esbuild";
import { examples, parse } from "./command-line";

const PROGRAMS: Readonly<Record<string, string>> = {
  node: "agent/node/main.ts",
  worker: "agent/worker/main.ts",
};

/** Installed by the worker, not carried by user data; their packages are CommonJS modules, which ask for `require`. */
const RELEASES: Readonly<Record<string, string>> = {
  daemon: "agent/daemon/main.ts",
  "worker-agent": "agent/worker/program.ts",
};

/** Carried by a document of Systems Manager, to run on a node. */
const ON_NODE: Readonly<Record<string, string>> = { "roll-on-node": "scripts/rolling-update/on-node/main.ts" };

/** Carried by the published module, to run where Terraform does. */
const OPERATOR: Readonly<Record<string, string>> = { roll: "scripts/rolling-update/main.ts" };

const OPTIONS: BuildOptions = {
  outdir: "dist",
  write: false,
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

/** For packages that are CommonJS modules. */
const REQUIRE = 'import{createRequire}from"node:module";const require=createRequire(import.meta.url);';
const REFUSE_OLD_NODE =
  'if(parseInt(process.versions.node)<20){console.error("the roller needs Node.js 20 or later, this is "+process.versions.node);process.exit(64)}';

/** Programs that share a few KiB with what users write: they unpack themselves, a tenth smaller than gzip alone makes them. */
const SELF_UNPACKING = ["node.mjs", "roll-on-node.mjs"];

const BUILDS: readonly BuildOptions[] = [
  { entryPoints: PROGRAMS },
  { entryPoints: ON_NODE, alias: { picocolors: "./scripts/rolling-update/on-node/no-colours.ts" } },
  { entryPoints: RELEASES, external: ["pg-native"], banner: { js: REQUIRE } },
  { entryPoints: OPERATOR, banner: { js: `${REFUSE_OLD_NODE}${REQUIRE}` } },
];

function bundle(): void {
  for (const build of BUILDS) {
    for (const { path, contents } of buildSync({ ...OPTIONS, ...build }).outputFiles ?? []) {
      replace(path, SELF_UNPACKING.includes(basename(path)) ? selfUnpacking(contents) : contents);
    }
  }
}

function selfUnpacking(program: Uint8Array): Uint8Array {
  // A compressor that is a package gives the same bytes under every version of Node.js.
  const packed = Buffer.from(compress(program, { quality: 11 })).toString("base64");
  return Buffer.from(
    'import{brotliDecompressSync as u}from"node:zlib";await import("data:text/javascript;base64,"+' +
      `u(Buffer.from("${packed}","base64")).toString("base64"))\n`,
  );
}

/** Whole or not at all, since others may read it: they synthesize at the same time. */
function replace(path: string, contents: Uint8Array): void {
  if (existsSync(path) && readFileSync(path).equals(contents)) return;
  const partial = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(partial, contents);
  renameSync(partial, path);
}

const program = new Command("npm run bundle --")
  .description("Build the programs that user data, releases and published modules carry, in dist/")
  .addHelpText("after", examples("npm run bundle"))
  .action(bundle);

void parse(program);
