import { Fn, Token } from "cdktf";
import { escapeTemplate } from "../publish/expressions";

/** Whether a value, or something in it, is known to Terraform only. */
export function holdsTokens(value: unknown): boolean {
  if (Token.isUnresolved(value)) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(holdsTokens);
}

/** JSON in ASCII, so that its size in characters is its size in bytes. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** JSON as a Terraform template: what only Terraform knows stands in it as a jsonencode call, the rest as it will be. */
export function jsonTemplate(value: unknown): string {
  if (Token.isUnresolved(value)) return Token.asString(Fn.jsonencode(value));
  if (Array.isArray(value)) return `[${value.map(jsonTemplate).join(",")}]`;
  if (typeof value !== "object" || value === null) return escapeTemplate(jsonText(value));
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([key, member]) => `${escapeTemplate(jsonText(key))}:${jsonTemplate(member)}`).join(",")}}`;
}
