import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { writeModule } from "../../../modules/publish/write-module";
import { PUBLISHED_MODULES } from "../../../modules/published-modules";
import { WrongUse } from "../wrong-use";
import type { Deployment, Place, Written } from "./deployment";
import { commonPrefix, prefixOf, replaced } from "./placeholders";
import { ROLLS_NOT } from "./remarks";

/** Not part of a configuration. */
const LEFT_OUT = /^(\.terraform|\.git|node_modules|cdktf\.out)$|\.tfstate(\..*)?$|^\.terraform\.lock\.hcl$/;
const CONFIGURATION = /\.(tf|tf\.json|tfvars|tfvars\.json)$/;
const OUTPUT = "holdfast_rehearsal";
const CLUSTER_MODULE = "stateful-cluster";

/** A module block, as far as it can be read without evaluating anything: Terraform wants its source as it stands. */
interface ModuleCall {
  readonly name: string;
  readonly source: string;
}

/**
 * A directory with Terraform whose root calls a published module.
 *
 * @throws WrongUse where it holds no configuration, or does not say its region.
 */
export function directoryDeployment(directory: string): Deployment {
  const root = resolve(directory);
  const texts = configurationTexts(root);
  if (texts.length === 0)
    throw new WrongUse(`${directory}: holds no .tf or .tf.json file`, "name a root configuration");
  const region =
    /\bregion"?\s*[=:]\s*"([a-z]{2}(?:-[a-z]+)+-\d)"/.exec(texts.join("\n"))?.[1] ??
    process.env.AWS_REGION ??
    process.env.AWS_DEFAULT_REGION;
  if (region === undefined) {
    throw new WrongUse(`${directory}: no provider names its region`, "set AWS_REGION");
  }
  const hasWorkers = texts.flatMap(moduleCalls).some(({ source }) => source.includes("worker-fleet"));
  const workers = hasWorkers ? { obstacle: FLEET_OF_DIRECTORY } : undefined;
  return { name: basename(root), region, workers, write: (place) => write(root, texts, place) };
}

const FLEET_OF_DIRECTORY =
  "the workers of a directory with Terraform would reach no control plane and no release bucket";

async function write(root: string, texts: readonly string[], place: Place): Promise<Written> {
  const directory = join(place.directory, "configuration");
  cpSync(root, directory, { recursive: true, filter: (path) => path === root || !LEFT_OUT.test(basename(path)) });
  const remarks: string[] = [];
  if (place.network !== undefined) remarks.push(...rebase(root, directory, texts, place.network));
  if (rewrite(directory, (text) => text.replaceAll(ROLLS_ON_APPLY, '$1"none"'))) remarks.push(ROLLS_NOT);

  const calls = texts.flatMap(moduleCalls);
  const elsewhere = calls.filter(({ source }) => source.startsWith("../"));
  const sources = Object.fromEntries(
    elsewhere.map(({ name, source }) => [name, { source: sourceOf(root, source, place.directory, remarks) }]),
  );
  const override = (module: Readonly<Record<string, object>>) =>
    writeFileSync(
      join(directory, "holdfast_rehearsal_override.tf.json"),
      JSON.stringify({ terraform: { backend: { local: {} } }, ...(Object.keys(module).length > 0 && { module }) }),
    );
  override(sources);

  return {
    directory,
    remarks,
    tellClusters: () => {
      const clusters = clusterCalls(directory);
      const manifests = clusters.map(
        (name) => `try([for m in module.${name} : m.roll_manifest], [module.${name}.roll_manifest])`,
      );
      writeFileSync(
        join(directory, `${OUTPUT}.tf.json`),
        JSON.stringify({ output: { [OUTPUT]: { value: `\${flatten([${manifests.join(", ")}])}` } } }),
      );
    },
    manifests: ({ [OUTPUT]: told }) => (Array.isArray(told) ? told.map(String) : []),
    writeScript: async (script) => {
      const node_config_script = Buffer.from(script).toString("base64");
      const clusters = clusterCalls(directory);
      override({
        ...sources,
        ...Object.fromEntries(
          clusters.map((name) => [
            name,
            { ...sources[name], node_config_script, node_config_script_s3_url: null, on_boot_failure: "abandon" },
          ]),
        ),
      });
    },
  };
}

/** Where a module that lies outside of the directory is taken from. */
function sourceOf(root: string, source: string, scratch: string, remarks: string[]): string {
  const there = resolve(root, source);
  const isModule = existsSync(there) && readdirSync(there).some((name) => /\.tf(\.json)?$/.test(name));
  if (isModule) return there;
  const module = PUBLISHED_MODULES.find(({ name }) => name === CLUSTER_MODULE);
  if (module === undefined) throw new Error(`${CLUSTER_MODULE} is not published`);
  const written = join(scratch, CLUSTER_MODULE);
  writeModule(module, written);
  remarks.push(`Where it says ${source}, the module ${CLUSTER_MODULE} of this checkout was taken.`);
  return written;
}

/** Moves the configuration's addresses into the rehearsal's network. */
function rebase(root: string, directory: string, texts: readonly string[], network: string): string[] {
  const addresses = texts.flatMap((text) => text.match(PRIVATE_ADDRESS) ?? []);
  const from = commonPrefix(addresses, root);
  const to = prefixOf(network);
  if (from === undefined || from === to) return [];
  rewrite(directory, (text) => replaced(text, { from, to }, new Map()));
  return [`Addresses of ${from}.0.0/16 are in ${to}.0.0/16.`];
}

/** @returns whether anything is different now */
function rewrite(directory: string, change: (text: string) => string): boolean {
  const paths = readdirSync(directory).flatMap((name) => (CONFIGURATION.test(name) ? join(directory, name) : []));
  const changed = paths.filter((path) => {
    const text = readFileSync(path, "utf8");
    const other = change(text);
    if (other !== text) writeFileSync(path, other);
    return other !== text;
  });
  return changed.length > 0;
}

/** A roll within an apply would be over before anyone looked, and end the rehearsal of a release that cannot boot. */
const ROLLS_ON_APPLY = /(\brolling_update"?\s*[=:]\s*\{[^}]*?\bwhen"?\s*[=:]\s*)"apply"/g;

/** Of the networks of RFC 1918; the last number may be an expression. */
const PRIVATE_ADDRESS = /(?<![\d.])(?:10\.\d{1,3}|172\.(?:1[6-9]|2\d|3[01])|192\.168)\.\d{1,3}(?=\.)/g;

/** What calls a module that tells a cluster's manifest, once `terraform init` has fetched them. */
function clusterCalls(directory: string): string[] {
  const listed = JSON.parse(readFileSync(join(directory, ".terraform/modules/modules.json"), "utf8"));
  const modules: readonly { readonly Key: string; readonly Dir: string }[] = listed.Modules ?? [];
  return modules
    .filter(({ Key }) => Key !== "" && !Key.includes("."))
    .filter(({ Dir }) => configurationTexts(resolve(directory, Dir)).some((text) => text.includes('"roll_manifest"')))
    .map(({ Key }) => Key);
}

function moduleCalls(text: string): ModuleCall[] {
  const inHcl = [...text.matchAll(/^\s*module\s+"([^"]+)"\s*\{[^}]*?^\s*source\s*=\s*"([^"]+)"/gm)];
  const inJson = text.trimStart().startsWith("{") ? Object.entries(JSON.parse(text).module ?? {}) : [];
  return [
    ...inHcl.map(([, name = "", source = ""]) => ({ name, source })),
    ...inJson.map(([name, call]) => ({ name, source: String((call as { source?: unknown }).source) })),
  ];
}

function configurationTexts(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => CONFIGURATION.test(name) && statSync(join(directory, name)).isFile())
    .map((name) => readFileSync(join(directory, name), "utf8"));
}
