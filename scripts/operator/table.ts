import pc from "picocolors";

/** Rows under a head, each column as wide as its widest cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [pc.dim(line(head)), ...rows.map(line)].join("\n");
}

/** As `table`, or what is said in its place where there is nothing to list. */
export const listed = (head: readonly string[], rows: readonly (readonly string[])[], none: string): string =>
  rows.length === 0 ? none : table(head, rows);

/** `name: value`, one a line, without what is empty. */
export function facts(entries: Readonly<Record<string, unknown>>): string {
  const shown = Object.entries(entries).filter(([, value]) => shownAs(value) !== "");
  const width = Math.max(0, ...shown.map(([name]) => name.length)) + 1;
  return shown.map(([name, value]) => `${`${name}:`.padEnd(width)} ${shownAs(value)}`).join("\n");
}

/** A value in a line, without what there is none of; figures to the hundredth. */
export function shownAs(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(shownAs).join(", ");
  if (typeof value === "number") return String(Math.round(value * 100) / 100);
  if (typeof value !== "object") return String(value);
  return Object.entries(value)
    .filter(([, inner]) => inner === "" || shownAs(inner) !== "")
    .map(([key, inner]) => `${key}=${shownAs(inner)}`)
    .join(", ");
}
