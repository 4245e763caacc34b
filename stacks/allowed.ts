import { distance } from "fastest-levenshtein";
import type { JsonSchema } from "../modules/publish/json-schema";
import { withoutNull } from "../modules/publish/json-schema";
import type { Path } from "./yaml-document";

/** What a value may be, in words: `a whole number from 1 to 5`. */
export function allowed(maybeNull: JsonSchema): string {
  const { schema, nullable } = withoutNull(maybeNull);
  return nullable ? `${notNull(schema)} or null` : notNull(schema);
}

function notNull(schema: JsonSchema): string {
  if (schema.anyOf !== undefined) {
    return schema.anyOf.map(allowed).join(", or ");
  }
  const values = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  if (values !== undefined) {
    return values.length === 1 ? String(values[0]) : `one of ${values.join(", ")}`;
  }
  switch (schema.type) {
    case "string":
      return text(schema);
    case "integer":
      return `a whole number${range(schema.minimum, schema.maximum)}`;
    case "number":
      return `a number${range(schema.minimum ?? schema.exclusiveMinimum, schema.maximum ?? schema.exclusiveMaximum)}`;
    case "boolean":
      return "true or false";
    case "array":
      return `a list of ${amount(schema.minItems, schema.maxItems)}${allowed(schema.items ?? {})}`;
    case "object":
      return map(schema);
    default:
      return "any value";
  }
}

const FORMATS: Readonly<Record<string, string>> = {
  cidrv4: "an IPv4 address range such as 10.0.0.0/16",
  cidrv6: "an IPv6 address range such as 2001:db8::/56",
  ipv4: "an IPv4 address such as 10.0.0.7",
  uri: "a URL",
};

function text({ format = "", pattern, minLength, maxLength }: JsonSchema): string {
  const known = FORMATS[format];
  if (known !== undefined || pattern === undefined) {
    return known ?? ((minLength ?? maxLength) ? `text${range(minLength, maxLength)} characters` : "text");
  }
  return `text matching ${pattern}`;
}

function range(low: number | undefined, high: number | undefined): string {
  const bounded = (limit: number | undefined) => limit !== undefined && Math.abs(limit) < Number.MAX_SAFE_INTEGER;
  if (bounded(low) && bounded(high)) {
    return ` from ${low} to ${high}`;
  }
  return bounded(low) ? ` of at least ${low}` : bounded(high) ? ` of at most ${high}` : "";
}

function amount(low: number | undefined, high: number | undefined): string {
  return low === undefined && high === undefined
    ? ""
    : `${range(low, high)
        .trim()
        .replace(/^of |^from /, "")}: `;
}

function map({ properties, additionalProperties }: JsonSchema): string {
  if (typeof additionalProperties === "object") {
    return `a map whose values are ${allowed(additionalProperties)}`;
  }
  return `a map with the keys ${Object.keys(properties ?? {}).join(", ")}`;
}

/** The schema of the value at `path`; of several alternatives, the first that has such a value. */
export function schemaAt(maybeNull: JsonSchema, path: Path): JsonSchema | undefined {
  const [segment, ...rest] = path;
  if (segment === undefined) {
    return maybeNull;
  }
  const { schema } = withoutNull(maybeNull);
  if (schema.anyOf !== undefined) {
    return schema.anyOf.map((alternative) => schemaAt(alternative, path)).find((found) => found !== undefined);
  }
  const inner =
    typeof segment === "number"
      ? schema.items
      : (schema.properties?.[String(segment)] ??
        (typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined));
  return inner === undefined ? undefined : schemaAt(inner, rest);
}

/** The one of `known` that `word` was probably meant to be. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map((candidate) => ({ candidate, edits: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  return best !== undefined && best.edits <= Math.max(1, Math.floor(word.length / 3)) ? best.candidate : undefined;
}
