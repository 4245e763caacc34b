import fc from "fast-check";
import { UUID } from "../../../control-plane/protocol/limits";

/** What of a JSON Schema the API's OpenAPI document uses. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly $ref?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
}

/** Texts and numbers at which parsers, databases and logs are known to fail. */
const HOSTILE: readonly unknown[] = [
  "",
  "\u0000",
  "\ud800",
  "'; drop table jobs; --",
  "${jndi:ldap://x}",
  "../../etc/passwd",
  "__proto__",
  "a".repeat(5_000),
  "postgres://u:p@h/db",
  -1,
  0,
  1.5,
  2 ** 31,
  2 ** 53,
  1e308,
  null,
  true,
  [],
  {},
  [[]],
  { constructor: { prototype: {} } },
];

const hostile = fc.constantFrom(...HOSTILE);

/** Values that a schema describes, mixed with such as it does not: one in six parts is of another kind, missing, or too much. Ids are often such as there are. */
export function valuesOf(schema: Schema | undefined, ids: readonly string[], depth = 0): fc.Arbitrary<unknown> {
  if (!schema || depth > 6) return hostile;
  return fc.oneof({ weight: 5, arbitrary: proper(schema, ids, depth) }, { weight: 1, arbitrary: hostile });
}

function proper(schema: Schema, ids: readonly string[], depth: number): fc.Arbitrary<unknown> {
  const { anyOf, oneOf, enum: choices, format } = schema;
  if (choices) return fc.constantFrom(...choices);
  if (schema.const !== undefined) return fc.constant(schema.const);
  const others = anyOf ?? oneOf;
  if (others) return fc.oneof(...others.map((other) => valuesOf(other, ids, depth + 1)));
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "object":
      return objects(schema, ids, depth);
    case "array":
      return fc.array(valuesOf(schema.items, ids, depth + 1), { maxLength: 3 });
    case "integer":
    case "number":
      return fc.integer({ min: bounded(schema.minimum, 0), max: bounded(schema.maximum, 1_000) });
    case "boolean":
      return fc.boolean();
    case "string":
      if (format === "uuid" || schema.pattern === UUID.source) return fc.oneof(fc.uuid(), fc.constantFrom(...ids));
      if (format === "uri") return fc.webUrl();
      return schema.pattern ? fc.stringMatching(new RegExp(schema.pattern)) : fc.string({ maxLength: 50 });
    default:
      return hostile;
  }
}

/** PostgreSQL's integers end earlier than what a document may say. */
const bounded = (limit: number | undefined, otherwise: number): number =>
  limit === undefined ? otherwise : Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, limit));

function objects(
  { properties = {}, required = [], additionalProperties }: Schema,
  ids: readonly string[],
  depth: number,
): fc.Arbitrary<unknown> {
  const fields = Object.entries(properties).map(([name, field]) => {
    const value = valuesOf(field, ids, depth + 1);
    return [name, required.includes(name) ? value : fc.option(value, { nil: undefined })] as const;
  });
  const known = fc.record(Object.fromEntries(fields));
  if (typeof additionalProperties === "object") {
    return fc.dictionary(fc.string({ maxLength: 10 }), valuesOf(additionalProperties, ids, depth + 1), { maxKeys: 3 });
  }
  return fc.oneof(
    { weight: 9, arbitrary: known },
    { weight: 1, arbitrary: known.map((o) => ({ ...(o as object), x: 1 })) },
  );
}
