import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { nearest } from "./allowed";
import { type DeploymentKeys, deploymentKeys } from "./deployment-keys";
import type { DeploymentKind } from "./deployment-kind";
import { checkDocument } from "./document-check";
import { InvalidDeployments, type Problem } from "./problem";
import { otherRegions } from "./region-check";
import { parseYamlFile, type YamlDocument } from "./yaml-document";

/** A document that fits the schema of its kind. */
export interface Deployment {
  readonly kind: DeploymentKind;
  readonly keys: DeploymentKeys & Record<string, unknown>;
  /** Where it came from, for problems that show later. */
  readonly document: YamlDocument;
}

/** The YAML files in `directory`, sorted by name; none where there is no such directory. */
export function deploymentFiles(directory: string): string[] {
  if (!existsSync(directory)) {
    return [];
  }
  return readdirSync(directory)
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .map((name) => join(directory, name));
}

/** Schema of a whole document: the keys of its kind and those of every document. */
export function documentSchema({ kind, schema }: DeploymentKind): z.ZodObject {
  return schema.safeExtend({
    kind: z.literal(kind).describe("What is deployed."),
    ...deploymentKeys.shape,
  }) as z.ZodObject;
}

/**
 * Reads every document of `files`.
 *
 * @throws InvalidDeployments with all problems of all documents at once.
 */
export function readDeployments(files: readonly string[], kinds: readonly DeploymentKind[]): Deployment[] {
  const problems: Problem[] = [];
  const deployments: Deployment[] = [];
  for (const file of files) {
    const parsed = readYaml(file);
    const read = parsed.documents.map((document) => readDocument(document, kinds));
    deployments.push(...read.filter((result): result is Deployment => "kind" in result));
    const inFile = [...parsed.problems, ...read.flatMap((result) => ("problems" in result ? result.problems : []))];
    problems.push(...inFile.sort((a, b) => a.line - b.line || a.column - b.column));
  }
  problems.push(...sharedNames(deployments), ...sharedStates(deployments));
  if (problems.length > 0) {
    throw new InvalidDeployments(problems);
  }
  return deployments;
}

function readYaml(file: string) {
  try {
    return parseYamlFile(file, readFileSync(file, "utf8"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const message = code === "ENOENT" ? "there is no such file" : `cannot be read: ${(error as Error).message}`;
    return { documents: [], problems: [{ file, line: 1, column: 1, message }] };
  }
}

function readDocument(
  document: YamlDocument,
  kinds: readonly DeploymentKind[],
): Deployment | { readonly problems: readonly Problem[] } {
  const { value } = document;
  if (value === null) {
    return { problems: [document.problem([], "document is empty; describe a deployment or remove its ---")] };
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    return { problems: [document.problem([], "document: expected a map with the keys kind, name and aws")] };
  }
  const named = "kind" in value ? value.kind : undefined;
  const kind = kinds.find((candidate) => candidate.kind === named);
  if (kind === undefined) {
    return { problems: [document.problem(["kind"], unknownKind(named, kinds))] };
  }
  const checked = checkDocument(document, documentSchema(kind));
  if (!checked.ok) return { problems: checked.problems };
  const keys = checked.value as Deployment["keys"];
  const elsewhere = otherRegions(document, keys);
  return elsewhere.length === 0 ? { kind, keys, document } : { problems: elsewhere };
}

function unknownKind(named: unknown, kinds: readonly DeploymentKind[]): string {
  const names = kinds.map(({ kind }) => kind);
  const expected = names.length === 1 ? names[0] : `one of ${names.join(", ")}`;
  if (named === undefined) {
    return `kind: missing; expected ${expected}`;
  }
  const meant = nearest(String(named), names);
  const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
  return `kind: got ${JSON.stringify(named)}; expected ${expected}${hint}`;
}

function sharedNames(deployments: readonly Deployment[]): Problem[] {
  const owners = new Map<string, Problem>();
  const problems: Problem[] = [];
  for (const { keys, document } of deployments) {
    const here = document.problem(["name"], "");
    const owner = owners.get(keys.name);
    if (owner === undefined) {
      owners.set(keys.name, here);
    } else {
      const where = `${owner.file}:${owner.line}`;
      problems.push({ ...here, message: `name: got "${keys.name}"; ${where} already has a deployment of that name` });
    }
  }
  return problems;
}

/** One state of two deployments is that of the last one applied: its apply destroys what the other has made. */
function sharedStates(deployments: readonly Deployment[]): Problem[] {
  const owners = new Map<string, Deployment>();
  return deployments.flatMap((deployment) => {
    const { name, backend } = deployment.keys;
    if (backend === undefined) return [];
    const { bucket, key } = backend;
    const place = `${bucket}/${key}`;
    const owner = owners.get(place);
    if (owner === undefined || owner.keys.name === name) {
      owners.set(place, deployment);
      return [];
    }
    const { file, line } = owner.document.problem(["backend", "key"], "");
    const message =
      `backend.key: got "${key}"; ${file}:${line} keeps the state of ${owner.keys.name} there, which an apply of ${name} would ` +
      "destroy: give it a key of its own";
    return [deployment.document.problem(["backend", "key"], message)];
  });
}
