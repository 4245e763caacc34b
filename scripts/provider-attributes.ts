/**
 * `npm run provider-attributes`: writes down which attributes AWS provider 5.100 has for the resource types that modules/
 * and stacks/ import, so that a test can refuse any other. Needs terraform; run it after importing a new type.
 *
 * The bindings were generated for a later provider, and know attributes (such as `region`) that 5.100 refuses.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const OUTPUT = "__tests__/fixtures/aws-5.100-attributes.json";

/** `true`, or what is inside a block or an attribute of objects. */
interface Attributes {
  readonly [name: string]: true | Attributes;
}

interface SchemaBlock {
  readonly attributes?: Readonly<Record<string, { readonly type?: unknown }>>;
  readonly block_types?: Readonly<Record<string, { readonly block: SchemaBlock }>>;
}

function importedTypes(): { resources: string[]; data: string[] } {
  const sources = ["modules", "stacks"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => readFileSync(join(folder, name), "utf8")),
  );
  const imports = sources.flatMap((text) => [...text.matchAll(/@cdktf\/provider-aws\/lib\/([a-z0-9-]+)/g)]);
  const names = [...new Set(imports.map(([, name = ""]) => name))].filter((name) => name !== "provider").sort();
  const type = (name: string) =>
    Object.values(require(`@cdktf/provider-aws/lib/${name}`))
      .map(resourceType)
      .find(Boolean);
  const types = (prefixed: boolean) =>
    names.filter((name) => name.startsWith("data-aws-") === prefixed).map((name) => type(name) ?? name);
  return { resources: types(false), data: types(true) };
}

function resourceType(exported: unknown): string | undefined {
  return (exported as { tfResourceType?: string } | undefined)?.tfResourceType;
}

function providerSchema() {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-schema-"));
  try {
    const required_providers = { aws: { source: "hashicorp/aws", version: "5.100.0" } };
    writeFileSync(join(directory, "main.tf.json"), JSON.stringify({ terraform: { required_providers } }));
    terraform(directory, "init");
    const schemas = JSON.parse(terraform(directory, "providers", "schema", "-json")).provider_schemas;
    return schemas["registry.terraform.io/hashicorp/aws"];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function terraform(directory: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync("terraform", args, {
    cwd: directory,
    encoding: "utf8",
    maxBuffer: 512 * 1024 * 1024,
  });
  if (status !== 0) {
    throw new Error(`terraform ${args.join(" ")}: ${error?.message ?? stderr}`);
  }
  return stdout;
}

function attributesOf({ attributes = {}, block_types = {} }: SchemaBlock): Attributes {
  const own = Object.entries(attributes).map(([name, { type }]) => [name, insideOf(type)] as const);
  const blocks = Object.entries(block_types).map(([name, { block }]) => [name, attributesOf(block)] as const);
  return Object.fromEntries([...own, ...blocks].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A type is `"string"`, `["set", TYPE]` or `["object", { name: TYPE }]`. */
function insideOf(type: unknown): true | Attributes {
  if (!Array.isArray(type)) {
    return true;
  }
  const [collection, inner] = type;
  if (collection !== "object") {
    return insideOf(inner);
  }
  return Object.fromEntries(Object.entries(inner as object).map(([name, item]) => [name, insideOf(item)]));
}

const { resources, data } = importedTypes();
const { resource_schemas, data_source_schemas } = providerSchema();
const compact = (types: readonly string[], schemas: Record<string, { block: SchemaBlock }>) =>
  Object.fromEntries(
    types.map((type) => {
      const schema = schemas[type];
      if (schema === undefined) {
        throw new Error(`AWS provider 5.100 has no ${type}`);
      }
      return [type, attributesOf(schema.block)];
    }),
  );

const lines = (types: Record<string, Attributes>) =>
  Object.entries(types)
    .map(([type, attributes]) => `    ${JSON.stringify(type)}: ${JSON.stringify(attributes)}`)
    .join(",\n");
writeFileSync(
  OUTPUT,
  `{\n  "resource": {\n${lines(compact(resources, resource_schemas))}\n  },\n  "data": {\n${lines(compact(data, data_source_schemas))}\n  }\n}\n`,
);
console.log(`${OUTPUT}: ${resources.length} resource types, ${data.length} data sources`);
