import type { RollDocument } from "./roll-keys";

/** What a document says that is no option of `holdfast roll run` by its own name. */
const ELSEWHERE = ["when", "from_nodes", "application", "checks", "drain"];

/** The options of `holdfast roll run` that say what the document does, in its order. */
export function rollWords(roll: RollDocument): string[] {
  const { application, checks = {}, drain = {} } = roll;
  const { undo_on_node, ...drains } = drain;
  return [
    ...Object.entries(roll).filter(([key]) => !ELSEWHERE.includes(key)),
    ...Object.entries(checks).map(([key, value]) => [`check_${key}`, value] as const),
    ...Object.entries(drains).map(([key, value]) => [`drain_${key}`, value] as const),
    ["undrain_on_node", undo_on_node] as const,
    ["application", application && JSON.stringify(inCamelCase(application))] as const,
  ].flatMap(([key, value]) => optionWords(`--${key.replaceAll("_", "-")}`, value));
}

/** A value stands in the word of its option, so that it may begin with a dash. */
function optionWords(option: string, value: unknown): string[] {
  if (value === undefined || value === false) return [];
  if (value === true) return [option];
  return [value].flat().map((one) => `${option}=${one}`);
}

/** The keys of the document as JSON has them; below `node_ids` they are the user's own. */
function inCamelCase(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [
      key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
      key === "tls" ? inCamelCase(value as Record<string, unknown>) : value,
    ]),
  );
}
