import { readFileSync } from "node:fs";
import { join } from "node:path";

interface Attributes {
  readonly [name: string]: true | Attributes;
}

const PROVIDER: Readonly<Record<"resource" | "data", Readonly<Record<string, Attributes>>>> = JSON.parse(
  readFileSync(join(__dirname, "..", "fixtures", "aws-5.100-attributes.json"), "utf8"),
);

/** Arguments that Terraform itself gives every resource. */
const META = new Set(["//", "count", "for_each", "depends_on", "lifecycle", "provider", "provisioner", "connection"]);

/** Where synthesized Terraform JSON sets or reads an attribute that AWS provider 5.100 does not have. */
export function unknownAttributes(terraform: Readonly<Record<string, unknown>>): string[] {
  return [...unknownArguments(terraform), ...unknownReads(JSON.stringify(terraform))];
}

function unknownArguments(terraform: Readonly<Record<string, unknown>>): string[] {
  return (["resource", "data"] as const).flatMap((mode) =>
    Object.entries((terraform[mode] ?? {}) as Record<string, Record<string, object>>)
      .filter(([type]) => type.startsWith("aws_"))
      .flatMap(([type, elements]) =>
        Object.entries(elements).flatMap(([name, element]) =>
          inside(knownType(mode, type), element, `${type}.${name}`),
        ),
      ),
  );
}

function inside(known: Attributes, value: unknown, path: string): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item) => inside(known, item, path));
  }
  if (typeof value !== "object" || value === null) {
    return [];
  }
  return Object.entries(value).flatMap(([name, item]) => {
    const below = `${path}.${name}`;
    if (META.has(name)) {
      return [];
    }
    if (name === "dynamic") {
      return Object.entries(item as Record<string, { content: unknown }>).flatMap(([block, { content }]) =>
        inside(known, { [block]: content }, path),
      );
    }
    const attribute = known[name];
    if (attribute === undefined) {
      return [below];
    }
    return attribute === true ? [] : inside(attribute, item, below);
  });
}

const READ = /\b(data\.)?(aws_[a-z0-9_]+)\.([A-Za-z0-9_-]+)(?:\[[^\]]*\])?\.([a-z0-9_]+)/g;

function unknownReads(text: string): string[] {
  return [...text.matchAll(READ)]
    .filter(([, data, type = "", , attribute = ""]) => !(attribute in knownType(data ? "data" : "resource", type)))
    .map(([reference]) => reference);
}

function knownType(mode: "resource" | "data", type: string): Attributes {
  const known = PROVIDER[mode][type];
  if (known === undefined) {
    throw new Error(`the attributes of ${mode} ${type} are not written down; run: npm run provider-attributes`);
  }
  return known;
}
