/** A number of any size, between markers that no text from PostgreSQL can hold: it knows no NUL. */
const MARKED = /"\\u0000(\d+)\\u0000"/g;

/** JSON with bigints as numbers: an LSN has 64 bits, of which a double keeps 53. */
export function toJson(value: unknown): string {
  const marked = JSON.stringify(value, (_, item) => (typeof item === "bigint" ? `\0${item}\0` : item));
  return marked.replace(MARKED, "$1");
}
