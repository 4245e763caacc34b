import { isTree, type Tree, type Value } from "./tree";

type Branch = { [name: string]: string | Branch };

/**
 * Reads the parameters of the AWS query protocols: `Tags.member.1.Key=Name` is the key of the first tag. EC2 writes lists
 * without `member`.
 * https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
 */
export function parseQuery(body: string): Tree {
  const root: Branch = {};
  for (const [path, value] of new URLSearchParams(body)) {
    const names = path.split(".");
    const leaf = names.pop() ?? "";
    let branch = root;
    for (const name of names) {
      const next = branch[name];
      const inner = typeof next === "object" ? next : {};
      branch[name] = inner;
      branch = inner;
    }
    branch[leaf] = value;
  }
  return withLists(root) as Tree;
}

/** Writes what {@link parseQuery} reads; `listItem` is `member`, or nothing for EC2. */
export function buildQuery(parameters: Tree, listItem: string | undefined): string {
  const query = new URLSearchParams();
  const write = (path: readonly string[], value: Value): void => {
    if (Array.isArray(value)) {
      const list = listItem === undefined ? path : [...path, listItem];
      for (const [index, item] of value.entries()) {
        write([...list, String(index + 1)], item);
      }
    } else if (isTree(value)) {
      for (const [name, child] of Object.entries(value)) {
        write([...path, name], child);
      }
    } else {
      query.append(path.join("."), String(value));
    }
  };
  write([], parameters);
  return query.toString();
}

function withLists(branch: string | Branch): Value {
  if (typeof branch === "string") {
    return branch;
  }
  const names = Object.keys(branch);
  const [only] = names;
  if (names.length === 1 && only === "member") {
    return withLists(branch[only] ?? "");
  }
  if (names.length > 0 && names.every((name) => /^\d+$/.test(name))) {
    return names.sort((a, b) => Number(a) - Number(b)).map((name) => withLists(branch[name] ?? ""));
  }
  return Object.fromEntries(Object.entries(branch).map(([name, child]) => [name, withLists(child)]));
}
