/**
 * Builds the programs that user data carries: one minified ES module per program, for Node >= 20, written to dist/.
 * The same sources give the same bytes on every machine, since the bytes are part of a launch template version.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { compress } from "brotli-wasm";
import { type BuildOptions, buildSync } from "esbuild";

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

buildSync({ ...OPTIONS, entryPoints: { ...PROGRAMS, ...ON_NODE } });
buildSync({
  ...OPTIONS,
  entryPoints: RELEASES,
  external: ["pg-native"],
  banner: { js: REQUIRE },
});
buildSync({ ...OPTIONS, entryPoints: OPERATOR, banner: { js: `${REFUSE_OLD_NODE}${REQUIRE}` } });

/** Programs that share a few KiB with what users write: they unpack themselves, a tenth smaller than gzip alone makes them. */
const SELF_UNPACKING = ["node", "roll-on-node"];

for (const name of SELF_UNPACKING) {
  const file = `dist/${name}.mjs`;
  // A compressor that is a package gives the same bytes under every version of Node.js.
  const packed = Buffer.from(compress(readFileSync(file), { quality: 11 })).toString("base64");
  writeFileSync(
    file,
    'import{brotliDecompressSync as u}from"node:zlib";await import("data:text/javascript;base64,"+' +
      `u(Buffer.from("${packed}","base64")).toString("base64"))\n`,
  );
}
