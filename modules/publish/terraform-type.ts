import type { z } from "zod";
import { hclLiteral } from "./expressions";
import { inputSchema, isMap, type JsonSchema, withoutNull } from "./json-schema";

/**
 * The Terraform type constraint of what `schema` accepts: `z.object({ size: z.int(), tags: z.record(z.string(), z.string()).default({}) })`
 * is `object({ size = number, tags = optional(map(string), {}) })`. An array with the metadata `uniqueItems: true` is a set.
 *
 * @throws Error naming the property, for a schema that no Terraform type can say (a union, any).
 * https://developer.hashicorp.com/terraform/language/expressions/type-constraints
 */
export function terraformType(schema: z.ZodType): string {
  return typeOf(inputSchema(schema), "value");
}

/** {@link terraformType} of a JSON Schema; `path` names it in errors. */
export function typeOf(nullable: JsonSchema, path: string): string {
  const { schema } = withoutNull(nullable);
  switch (schema.type ?? typeof (schema.const ?? schema.enum?.[0])) {
    case "string":
      return "string";
    case "number":
    case "integer":
      return "number";
    case "boolean":
      return "bool";
    case "array":
      return `${schema.uniqueItems === true ? "set" : "list"}(${typeOf(schema.items ?? {}, `${path}[*]`)})`;
    case "object":
      return isMap(schema) ? `map(${typeOf(schema.additionalProperties, `${path}[*]`)})` : objectType(schema, path);
    default:
      throw new Error(`${path}: no Terraform type can say ${JSON.stringify(schema)}; give the variable its own type`);
  }
}

function objectType(schema: JsonSchema, path: string): string {
  const attributes = Object.entries(schema.properties ?? {}).map(
    ([name, property]) => `${name} = ${attributeType(name, property, schema.required ?? [], path)}`,
  );
  return attributes.length === 0 ? "object({})" : `object({ ${attributes.join(", ")} })`;
}

function attributeType(name: string, property: JsonSchema, required: readonly string[], path: string): string {
  const type = typeOf(property, `${path}.${name}`);
  if (property.default !== undefined && property.default !== null) {
    return `optional(${type}, ${hclLiteral(property.default)})`;
  }
  return required.includes(name) ? type : `optional(${type})`;
}
