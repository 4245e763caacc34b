import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "cdktf";
import type { PublishedModule } from "./published-module";
import { type ModuleInterface, renderReadme } from "./readme";

/** Name of a file in the module's directory, with forward slashes, to its text. */
export type ModuleFiles = ReadonlyMap<string, string>;

/**
 * Everything Terraform and a reader need of `module`, but for its assets: the same input gives the same text.
 *
 * @throws Error listing every validation that failed.
 */
export function moduleFiles(module: PublishedModule): ModuleFiles {
  const outdir = mkdtempSync(join(tmpdir(), "holdfast-module-"));
  try {
    const app = new App({ outdir, stackTraces: false });
    const folders = new Map([["root", ""]]);
    module.root(app, "root");
    for (const [name, create] of Object.entries(module.nested ?? {})) {
      create(app, name);
      folders.set(name, `modules/${name}/`);
    }
    app.synth();

    const files = new Map<string, string>();
    for (const [stack, folder] of folders) {
      const terraform = JSON.parse(readFileSync(join(outdir, "stacks", stack, "cdk.tf.json"), "utf8"));
      addTerraform(files, folder, terraform);
    }
    addDocuments(files, module);
    return files;
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

function addTerraform(files: Map<string, string>, folder: string, synthesized: unknown): void {
  const { variable, output, terraform, ...main } = withoutComments(synthesized) as Record<string, unknown>;
  const parts = { variables: { variable }, outputs: { output }, versions: { terraform }, main };
  for (const [name, part] of Object.entries(parts)) {
    if (Object.values(part).some((value) => value !== undefined)) {
      files.set(`${folder}${name}.tf.json`, `${JSON.stringify(part, null, 2)}\n`);
    }
  }
}

/** cdktf's `//` keys hold construct paths: noise for a caller, and not legal everywhere. */
function withoutComments(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(withoutComments);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== "//")
      .map(([key, item]) => [key, withoutComments(item)]),
  );
}

function addDocuments(files: Map<string, string>, module: PublishedModule): void {
  for (const { name, mainTf } of module.examples) {
    files.set(`examples/${name}/main.tf`, mainTf);
  }
  files.set("README.md", renderReadme(module, interfaceIn(files, "")));
  for (const name of Object.keys(module.nested ?? {})) {
    const folder = `modules/${name}/`;
    const nested = { name, summary: `Part of \`${module.name}\`: called by its root, not meant to be called alone.` };
    files.set(`${folder}README.md`, renderReadme(nested, interfaceIn(files, folder)));
  }
}

function interfaceIn(files: ModuleFiles, folder: string): ModuleInterface {
  const part = (name: string) => JSON.parse(files.get(`${folder}${name}.tf.json`) ?? "{}");
  const { variable = {} } = part("variables");
  const { output = {} } = part("outputs");
  const { terraform } = part("versions");
  return { variables: variable, outputs: output, terraform };
}
