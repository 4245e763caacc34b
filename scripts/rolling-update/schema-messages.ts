import { en } from "zod/locales";
import { config, type core } from "zod/mini";

/** The small zod brings no sentences of its own; without these every mistake would read "Invalid input". */
config(en());

/** What is missing, not of the right kind or unknown, as a person says it; for the rest zod's own sentence. */
export function inWords(issue: core.$ZodRawIssue): string | undefined {
  if (issue.code === "unrecognized_keys") return `unknown key ${issue.keys.join(", ")}`;
  if (issue.code !== "invalid_type") return undefined;
  if (issue.input === undefined) return "is missing";
  return `should be ${issue.expected === "array" ? "a list" : `a${/^[aeiou]/.test(issue.expected) ? "n" : ""} ${issue.expected}`}`;
}
