import type { z } from "zod";
import { inputSchema, type JsonSchema, withoutNull } from "../modules/publish/json-schema";
import { allowed, nearest, schemaAt } from "./allowed";
import type { Problem } from "./problem";
import type { Path, YamlDocument } from "./yaml-document";

export type Checked<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Parses the document with `schema`. Each problem names the path, the value that stands there and what is allowed; a
 * message that the schema itself gives for a rule takes the place of the latter.
 */
export function checkDocument<Schema extends z.ZodType>(
  document: YamlDocument,
  schema: Schema,
): Checked<z.output<Schema>> {
  const result = parse(document, schema);
  if (result instanceof Error) {
    return { ok: false, problems: [document.problem([], `document: ${result.message}`)] };
  }
  if (result.success) {
    return { ok: true, value: result.data };
  }
  const json = inputSchema(schema);
  return { ok: false, problems: result.error.issues.flatMap((issue) => problemsOf(issue, { document, json })) };
}

/** A rule may throw where it meets a value that other rules have already refused. */
function parse<Schema extends z.ZodType>({ value }: YamlDocument, schema: Schema) {
  try {
    return schema.safeParse(value, { error: () => UNWORDED });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Stands where the schema has no words of its own for a rule. */
const UNWORDED = "";

interface Context {
  readonly document: YamlDocument;
  readonly json: JsonSchema;
}

function problemsOf(issue: z.core.$ZodIssue, context: Context): Problem[] {
  const { document, json } = context;
  const { path, message } = issue;
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => document.keyProblem([...path, key], unknownKey(json, path, key)));
  }
  if (issue.code === "invalid_key") {
    const keys = schemaAt(json, path.slice(0, -1))?.propertyNames ?? {};
    const rule = issue.issues.map((inner) => inner.message).find((text) => text !== UNWORDED);
    return [document.keyProblem(path, `${renderPath(path)}: the key must be ${rule ?? allowed(keys)}`)];
  }
  if (issue.code === "invalid_union") {
    const closest = closestAlternative(issue);
    if (closest !== undefined) {
      return closest.flatMap((inner) => problemsOf({ ...inner, path: [...path, ...inner.path] }, context));
    }
  }
  const value = valueAt(document.value, path);
  if (value === undefined && message === UNWORDED) {
    return [document.problem(path, `${renderPath(path)}: missing; expected ${allowed(schemaAt(json, path) ?? {})}`)];
  }
  const rule = message === UNWORDED ? `expected ${expectation(json, path, value)}` : message;
  return [document.problem(path, `${renderPath(path)}: ${got(value)}${rule}`)];
}

function unknownKey(json: JsonSchema, path: Path, key: string): string {
  const known = Object.keys(schemaAt(json, path)?.properties ?? {});
  const meant = nearest(key, known);
  return `${renderPath([...path, key])}: unknown key; ${
    meant === undefined ? `known are ${known.join(", ")}` : `did you mean ${meant}?`
  }`;
}

/** The alternative whose own shape the value has, if there is one, has more to say than "none of these". */
function closestAlternative(issue: z.core.$ZodIssueInvalidUnion): z.core.$ZodIssue[] | undefined {
  return issue.errors.find((alternative) => alternative.length > 0 && alternative.every(({ path }) => path.length > 0));
}

function expectation(json: JsonSchema, path: Path, value: unknown): string {
  const schema = schemaAt(json, path) ?? {};
  if (isUnquoted(value, withoutNull(schema).schema)) {
    return `${allowed(schema)}; put it in quotes`;
  }
  const meant = typeof value === "string" ? nearest(value, (schema.enum ?? []).map(String)) : undefined;
  return meant === undefined ? allowed(schema) : `${allowed(schema)}; did you mean ${meant}?`;
}

/** Whether YAML has read a text that is allowed as a number, or as true or false. */
function isUnquoted(value: unknown, { type, pattern = "" }: JsonSchema): boolean {
  return ["number", "boolean"].includes(typeof value) && type === "string" && new RegExp(pattern).test(String(value));
}

/** Maps and lists are not shown, the position says which one it is; nor is a default that no one wrote. */
function got(value: unknown): string {
  if (value === undefined) {
    return "";
  }
  if (Array.isArray(value)) {
    return "got a list; ";
  }
  if (typeof value === "object" && value !== null) {
    return "got a map; ";
  }
  const text = JSON.stringify(value);
  return `got ${text.length > 60 ? `${text.slice(0, 57)}…` : text}; `;
}

/** `pools.docs.sinks[0].port`; the root is `document`. */
export function renderPath(path: Path): string {
  return path.length === 0
    ? "document"
    : path.reduce<string>(
        (text, segment) =>
          typeof segment === "number"
            ? `${text}[${segment}]`
            : text === ""
              ? String(segment)
              : `${text}.${String(segment)}`,
        "",
      );
}

function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, segment) =>
      typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[segment] : undefined,
    root,
  );
}
