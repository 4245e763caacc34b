import { z } from "zod";

/** The part of JSON Schema that a Terraform type can say; zod writes it from a schema's input side. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly propertyNames?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
}

/** What a caller may write for `schema`: defaults are optional, transformations have not happened yet. */
export function inputSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: "input", reused: "inline", target: "draft-7" }) as JsonSchema;
}

/** A nullable schema is its type or null; `nullable` tells which, and `schema` is the type alone. */
export function withoutNull(schema: JsonSchema): { readonly schema: JsonSchema; readonly nullable: boolean } {
  const { type, anyOf, ...about } = schema;
  if (Array.isArray(type) && type.length === 2 && type[1] === "null") {
    return { schema: { ...about, type: type[0] }, nullable: true };
  }
  if (anyOf?.[0] !== undefined && anyOf.length === 2 && anyOf[1]?.type === "null") {
    return { schema: { ...anyOf[0], ...about }, nullable: true };
  }
  return { schema, nullable: false };
}

/** Whether the schema is an object whose keys the caller chooses. */
export function isMap(schema: JsonSchema): schema is JsonSchema & { readonly additionalProperties: JsonSchema } {
  return schema.type === "object" && typeof schema.additionalProperties === "object";
}
