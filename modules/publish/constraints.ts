import { hclLiteral } from "./expressions";
import { isMap, type JsonSchema, withoutNull } from "./json-schema";

/** A rule on a variable, as Terraform evaluates it before it plans anything. */
export interface VariableValidation {
  /** Terraform expression that is true for a good value; it must mention the variable. */
  readonly condition: string;
  /** Whole sentence for the caller; plain text. */
  readonly errorMessage: string;
}

/**
 * The rules of a zod schema that a Terraform type cannot say (bounds, lengths, patterns, closed sets), at any depth, as
 * validations of the variable `name`. A null, where one is allowed, passes.
 */
export function validationsOf(name: string, schema: JsonSchema): VariableValidation[] {
  return rules(schema, `var.${name}`, name).map(({ condition, rule, label }) => ({
    condition,
    errorMessage: `${label} must ${rule}.`,
  }));
}

interface Rule {
  readonly condition: string;
  readonly rule: string;
  readonly label: string;
}

function rules(maybeNull: JsonSchema, value: string, label: string): Rule[] {
  const { schema, nullable } = withoutNull(maybeNull);
  const found = [...ownRules(schema, value, label), ...innerRules(schema, value, label)];
  return nullable ? found.map((rule) => unlessNull(rule, value)) : found;
}

function ownRules(schema: JsonSchema, value: string, label: string): Rule[] {
  const found: Rule[] = [];
  const add = (condition: string, rule: string) => found.push({ condition, rule, label });

  const allowed = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  if (allowed !== undefined) {
    add(`contains(${hclLiteral(allowed)}, ${value})`, `be one of ${allowed.join(", ")}`);
  }
  if (schema.format === "cidrv4" || schema.format === "cidrv6") {
    add(`can(cidrhost(${value}, 0))`, "be an address range in CIDR notation");
  } else if (schema.pattern !== undefined) {
    add(`can(regex(${hclLiteral(schema.pattern)}, ${value}))`, `match ${schema.pattern}`);
  }
  bound(schema.minLength, (limit) => add(`length(${value}) >= ${limit}`, `have at least ${limit} characters`));
  bound(schema.maxLength, (limit) => add(`length(${value}) <= ${limit}`, `have at most ${limit} characters`));
  bound(schema.minItems, (limit) => add(`length(${value}) >= ${limit}`, `have at least ${limit} elements`));
  bound(schema.maxItems, (limit) => add(`length(${value}) <= ${limit}`, `have at most ${limit} elements`));
  bound(schema.minimum, (limit) => add(`${value} >= ${limit}`, `be at least ${limit}`));
  bound(schema.maximum, (limit) => add(`${value} <= ${limit}`, `be at most ${limit}`));
  bound(schema.exclusiveMinimum, (limit) => add(`${value} > ${limit}`, `be more than ${limit}`));
  bound(schema.exclusiveMaximum, (limit) => add(`${value} < ${limit}`, `be less than ${limit}`));
  if (schema.type === "integer") {
    add(`floor(${value}) == ${value}`, "be a whole number");
  }
  return found;
}

/** zod bounds every integer by what a double holds exactly; that is no rule of ours. */
function bound(limit: number | undefined, add: (limit: number) => void): void {
  if (limit !== undefined && Math.abs(limit) < Number.MAX_SAFE_INTEGER) {
    add(limit);
  }
}

function innerRules(schema: JsonSchema, value: string, label: string): Rule[] {
  if (schema.type === "array" && schema.items !== undefined) {
    return forAll("item", value, rules(schema.items, "item", `${label}[*]`));
  }
  if (isMap(schema)) {
    const ofKeys = schema.propertyNames === undefined ? [] : rules(schema.propertyNames, "key", `A key of ${label}`);
    return forAll("key, item", value, [...ofKeys, ...rules(schema.additionalProperties, "item", `${label}[*]`)]);
  }
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const inner = rules(property, `${value}.${name}`, `${label}.${name}`);
    const mayBeAbsent = !schema.required?.includes(name) && property.default === undefined;
    return mayBeAbsent ? inner.map((rule) => unlessNull(rule, `${value}.${name}`)) : inner;
  });
}

/** The names of an inner `for` hide those of an outer one, whose element no inner rule looks at. */
function forAll(names: string, collection: string, inner: readonly Rule[]): Rule[] {
  return inner.map((rule) => ({
    ...rule,
    condition: `alltrue([for ${names} in ${collection} : ${rule.condition}])`,
  }));
}

/** Conditional, since `||` evaluates both of its sides. */
function unlessNull(rule: Rule, value: string): Rule {
  return { ...rule, condition: `(${value} == null ? true : ${rule.condition})` };
}
