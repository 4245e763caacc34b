import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { inputSchema, type JsonSchema } from "../../modules/publish/json-schema";
import { deploymentSchema } from "../../stacks/deployment-schema";
import { documentSchema } from "../../stacks/deployments";
import { KINDS } from "../../stacks/kinds";
import { QUEUE_KIND } from "../fixtures/queue-kind";

test("the schema for editors is the one that the sources give; npm run schema writes it", () => {
  const file = readFileSync(join(__dirname, "..", "..", "docs", "schema", "deployment.json"), "utf8");

  expect(JSON.parse(file)).toEqual(JSON.parse(JSON.stringify(deploymentSchema(KINDS))));
});

test("the kind decides which schema a document is held to", () => {
  const schema = JSON.parse(JSON.stringify(deploymentSchema([QUEUE_KIND])));

  expect(schema.properties.kind.enum).toEqual(["queue"]);
  expect(schema.allOf[0].if).toEqual({ properties: { kind: { const: "queue" } }, required: ["kind"] });
  expect(schema.allOf[0].then.required).toEqual(["queues", "kind", "name", "aws"]);
});

test("unknown keys are refused at every depth of every kind, and every top-level key is described", () => {
  for (const kind of [...KINDS, QUEUE_KIND]) {
    const schema = inputSchema(documentSchema(kind));
    expect({ kind: kind.kind, open: openObjects(schema, kind.kind) }).toEqual({ kind: kind.kind, open: [] });
    const undescribed = Object.entries(schema.properties ?? {}).filter(
      ([, { description }]) => description === undefined,
    );
    expect(undescribed.map(([key]) => key)).toEqual([]);
  }
});

test("an object that accepts any key would be found", () => {
  const schema = inputSchema(z.strictObject({ a: z.array(z.object({ b: z.string() })) }));

  expect(openObjects(schema, "kind")).toEqual(["kind.a[]"]);
});

function openObjects(schema: JsonSchema, path: string): string[] {
  const inner = [
    ...Object.entries(schema.properties ?? {}).map(([key, property]) => [property, `${path}.${key}`] as const),
    ...(schema.items === undefined ? [] : [[schema.items, `${path}[]`] as const]),
    ...(schema.anyOf ?? []).map((alternative) => [alternative, path] as const),
    ...(typeof schema.additionalProperties === "object" ? [[schema.additionalProperties, `${path}.*`] as const] : []),
  ].flatMap(([item, where]) => openObjects(item, where));
  const open = schema.type === "object" && (schema.additionalProperties ?? true) === true;
  return open ? [path, ...inner] : inner;
}
