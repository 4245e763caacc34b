/** What a request says or an answer holds, the same in XML and JSON: lists are arrays, in XML every leaf is a string. */
export interface Tree {
  readonly [name: string]: Value;
}

export type Value = string | number | boolean | null | Tree | readonly Value[];

/** The text at `name`, or undefined where there is none. */
export function textAt(tree: Tree, name: string): string | undefined {
  const value = tree[name];
  return typeof value === "string" ? value : undefined;
}

/** The structure at `name`, or an empty one. */
export function treeAt(tree: Tree, name: string): Tree {
  const value = tree[name];
  return isTree(value) ? value : {};
}

/** The structures in the list at `name`; XML has no other way to write an empty list than an empty element. */
export function treesAt(tree: Tree, name: string): readonly Tree[] {
  const value = tree[name];
  return Array.isArray(value) ? value.filter(isTree) : [];
}

/** `tree` with each structure in the list at `name` replaced; one that has no such list stays as it is. */
export function mapTreesAt(tree: Tree, name: string, replace: (item: Tree) => Tree): Tree {
  return Array.isArray(tree[name]) ? { ...tree, [name]: treesAt(tree, name).map(replace) } : tree;
}

/** `tree` without the entries at `names`. */
export function without(tree: Tree, ...names: readonly string[]): Tree {
  return Object.fromEntries(Object.entries(tree).filter(([name]) => !names.includes(name)));
}

export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
