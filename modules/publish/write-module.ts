import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { moduleFiles } from "./module-files";
import type { PublishedModule } from "./published-module";

const REPOSITORY = resolve(__dirname, "..", "..");

/** Names that git and Terraform keep in a module's directory; everything else there is ours to replace. */
const KEPT = new Set([".git", ".gitignore", ".terraform", ".terraform.lock.hcl"]);

/**
 * Writes `module` to `directory`: Terraform JSON, assets, README, LICENSE and examples, replacing an earlier writing of it.
 * Everything is rendered before anything is touched.
 *
 * @returns names of the files written, sorted.
 * @throws Error where the directory holds something that is not a module, or an asset is missing.
 */
export function writeModule(module: PublishedModule, directory: string): string[] {
  const target = resolve(directory);
  const files = moduleFiles(module);
  const assets = (module.assets ?? []).map((asset) => ({ ...asset, from: resolve(REPOSITORY, asset.from) }));
  for (const { from, to } of assets) {
    if (!existsSync(from)) {
      throw new Error(`${module.name} carries ${to}, but ${from} does not exist; run: npm run bundle`);
    }
  }
  refuseForeign(target);

  mkdirSync(target, { recursive: true });
  for (const name of readdirSync(target).filter((entry) => !KEPT.has(entry))) {
    rmSync(join(target, name), { recursive: true });
  }
  for (const [name, text] of files) {
    writeInto(target, name, (path) => writeFileSync(path, text));
  }
  for (const { from, to, executable = false } of assets) {
    writeInto(target, to, (path) => {
      copyFileSync(from, path);
      chmodSync(path, executable ? 0o755 : 0o644);
    });
  }
  copyFileSync(join(REPOSITORY, "LICENSE"), join(target, "LICENSE"));
  return [...files.keys(), ...assets.map(({ to }) => to), "LICENSE"].sort();
}

/** Only an empty directory or an earlier writing of a module may be replaced. */
function refuseForeign(directory: string): void {
  const entries = existsSync(directory) ? readdirSync(directory).filter((entry) => !KEPT.has(entry)) : [];
  if (entries.length > 0 && !entries.includes("versions.tf.json")) {
    throw new Error(
      `${directory} holds ${entries.slice(0, 3).join(", ")}${entries.length > 3 ? ", …" : ""}, which is no published module; choose an empty directory`,
    );
  }
}

function writeInto(directory: string, name: string, write: (path: string) => void): void {
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  write(path);
}
