/** What the SDK's XML parser makes of an answer: text, or elements by name, of which those that repeat are lists. */
export type Xml = string | readonly Xml[] | { readonly [name: string]: Xml } | undefined;

/** The element of that name, undefined when there is none. */
export function field(value: Xml, ...path: string[]): Xml {
  let found: Xml = value;
  for (const name of path) {
    found = typeof found === "object" && !Array.isArray(found) ? (found as Record<string, Xml>)[name] : undefined;
  }
  return found;
}

/** The text of the element, "" when there is none. */
export function text(value: Xml, ...path: string[]): string {
  const found = field(value, ...path);
  return typeof found === "string" ? found : "";
}

/** The entries of a list, which is an element of `member`s, or in EC2 of `item`s; none when it is empty or absent. */
export function entries(value: Xml, ...path: string[]): readonly Xml[] {
  const list = field(value, ...path);
  const found = field(list, "member") ?? field(list, "item");
  if (found === undefined) return [];
  return Array.isArray(found) ? found : [found as Xml];
}
