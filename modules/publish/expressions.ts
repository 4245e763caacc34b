import { type IResolvable, propertyAccess, ref, type TerraformVariable, Token } from "cdktf";

/**
 * A raw Terraform expression as a token, for what the bindings cannot say: `hcl("var.size > 0")`.
 *
 * The text is emitted as it stands, so it must hold no token of its own; interpolate addresses (`aws_subnet.a`), not attributes.
 */
export function hcl(expression: string): IResolvable {
  return ref(expression);
}

/**
 * The directory of the module that is being evaluated, as a string token.
 *
 * Written as plain text, `${path.module}` would be escaped as soon as it stands inside a Terraform function.
 * https://developer.hashicorp.com/terraform/language/expressions/references#filesystem-and-workspace-info
 */
export const PATH_MODULE: string = Token.asString(ref("path.module"));

/** A variable, or a property inside it (`var.volume.iops`), as a token of any type. */
export function variableValue(variable: TerraformVariable, ...path: string[]): IResolvable {
  return path.length === 0 ? variable.value : propertyAccess(variable.value, path);
}

/** {@link variableValue} where a string is expected. */
export function variableString(variable: TerraformVariable, ...path: string[]): string {
  return Token.asString(variableValue(variable, ...path));
}

/** {@link variableValue} where a number is expected; arithmetic on it is lost, so compute with {@link hcl}. */
export function variableNumber(variable: TerraformVariable, ...path: string[]): number {
  return Token.asNumber(variableValue(variable, ...path));
}

/** {@link variableValue} where a boolean is expected: a token in a boolean's clothes, never to be tested in TypeScript. */
export function variableBoolean(variable: TerraformVariable, ...path: string[]): boolean {
  return variableValue(variable, ...path) as unknown as boolean;
}

/** {@link variableValue} where a list of strings is expected; it cannot be spread or indexed in TypeScript. */
export function variableList(variable: TerraformVariable, ...path: string[]): string[] {
  return Token.asList(variableValue(variable, ...path));
}

/** `value` as the text of a Terraform expression: strings are quoted and hold no live template. */
export function hclLiteral(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map(hclLiteral).join(", ")}]`;
  }
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, item]) => `${hclLiteral(key)} = ${hclLiteral(item)}`);
    return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
  }
  return typeof value === "string" ? JSON.stringify(escapeTemplate(value)) : String(value);
}

/**
 * `text` with Terraform's template markers taken out of force, for strings that are to reach AWS as they are.
 * https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences-1
 */
export function escapeTemplate(text: string): string {
  return text.replace(/([$%])\{/g, "$1$1{");
}
