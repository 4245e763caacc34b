import type { PlannedChange } from "../../scripts/emulator/terraform";

/** `type.attribute` of everything that a plan would change, once each; an unknown value is a change too. */
export function differences(changes: readonly PlannedChange[]): string[] {
  const found = changes.flatMap(({ type, change: { before, after, after_unknown = {} } }) =>
    [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {}), ...Object.keys(after_unknown)])]
      .filter((key) => JSON.stringify(before?.[key]) !== JSON.stringify(after?.[key]) || after_unknown[key] === true)
      .map((key) => `${type}.${key}`),
  );
  return [...new Set(found)].sort();
}
