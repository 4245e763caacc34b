import { TerraformOutput, TerraformVariable } from "cdktf";
import type { Construct } from "constructs";
import type { z } from "zod";
import { type VariableValidation, validationsOf } from "./constraints";
import { escapeTemplate, hcl } from "./expressions";
import { inputSchema, withoutNull } from "./json-schema";
import { typeOf } from "./terraform-type";

export interface VariableProps {
  /** Terraform type constraint, such as `map(object({ size = number }))`. */
  readonly type: string;
  /** What it means and in which unit, for the caller; the module's README shows it. */
  readonly description: string;
  /**
   * Value when the caller gives none; null is a value.
   * @default - the caller must give one
   */
  readonly default?: unknown;
  /**
   * Whether the caller may pass null to mean null.
   * @default - only if null is the default
   */
  readonly nullable?: boolean;
  /**
   * Whether plans hide the value. A sensitive value may not reach `for_each`.
   * @default false
   */
  readonly sensitive?: boolean;
  /** @default - the type is the only rule */
  readonly validations?: readonly VariableValidation[];
}

/**
 * A typed variable of a module. The default is emitted exactly as given: TerraformVariable itself fails on nulls and
 * rewrites the keys of objects.
 */
export function declareVariable(scope: Construct, name: string, props: VariableProps): TerraformVariable {
  const variable = new TerraformVariable(scope, name, {
    type: props.type,
    description: props.description,
    nullable: props.nullable ?? props.default === null,
    ...(props.sensitive === true ? { sensitive: true } : {}),
    validation: (props.validations ?? []).map(({ condition, errorMessage }) => ({
      condition: hcl(condition),
      errorMessage: escapeTemplate(errorMessage),
    })),
  });
  if (props.default !== undefined) {
    variable.addOverride("default", props.default);
  }
  return variable;
}

export interface SchemaVariablesOptions<Name extends string> {
  /** Rules beyond what the schema says. */
  readonly validations?: Readonly<Partial<Record<Name, readonly VariableValidation[]>>>;
  /** Variables whose values plans hide. */
  readonly sensitive?: readonly Name[];
}

/**
 * One variable for every property of `schema`, with its type, default, description and rules: what a stack accepts in its
 * YAML and what the published module accepts from its caller are one schema.
 *
 * @throws Error naming the variable, where a property has no description or no Terraform type can say it.
 */
export function declareVariables<Shape extends z.ZodRawShape>(
  scope: Construct,
  schema: z.ZodObject<Shape>,
  options: SchemaVariablesOptions<keyof Shape & string> = {},
): Readonly<Record<keyof Shape & string, TerraformVariable>> {
  const { properties = {}, required = [] } = inputSchema(schema);
  const variables = Object.entries(properties).map(([name, property]) => {
    if (property.description === undefined) {
      throw new Error(`variable ${name} has no description; give its schema one with .describe("…")`);
    }
    const { nullable } = withoutNull(property);
    const isRequired = required.includes(name);
    const validations = isRequired || property.default != null ? property : { anyOf: [property, { type: "null" }] };
    return [
      name,
      declareVariable(scope, name, {
        type: typeOf(property, name),
        description: property.description,
        ...(isRequired ? {} : { default: property.default ?? null }),
        nullable: nullable || (!isRequired && property.default == null),
        sensitive: options.sensitive?.includes(name) ?? false,
        validations: [...validationsOf(name, validations), ...(options.validations?.[name] ?? [])],
      }),
    ] as const;
  });
  return Object.fromEntries(variables) as Record<keyof Shape & string, TerraformVariable>;
}

export interface OutputProps {
  readonly value: unknown;
  /** What it is for; the module's README shows it. */
  readonly description: string;
  /** @default false */
  readonly sensitive?: boolean;
  /**
   * What must hold before the value may be used.
   * @default - nothing
   */
  readonly preconditions?: readonly VariableValidation[];
}

/** An output under exactly `name`; TerraformOutput itself loses preconditions. */
export function declareOutput(scope: Construct, name: string, props: OutputProps): TerraformOutput {
  const { value, description, sensitive = false, preconditions = [] } = props;
  const output = new TerraformOutput(scope, name, {
    value,
    description,
    staticId: true,
    ...(sensitive ? { sensitive } : {}),
  });
  if (preconditions.length > 0) {
    output.addOverride(
      "precondition",
      preconditions.map(({ condition, errorMessage }) => ({
        condition: hcl(condition),
        error_message: escapeTemplate(errorMessage),
      })),
    );
  }
  return output;
}
