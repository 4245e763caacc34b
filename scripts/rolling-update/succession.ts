import type { ManifestNode } from "./manifest";

/**
 * Who goes on with a roll that comes to the node its roller runs on, the best first: nodes that stay as they are, then those
 * whose own turn is furthest away.
 * @param waiting nodes still to be replaced, in order
 */
export function successorsAmong(able: readonly ManifestNode[], waiting: readonly ManifestNode[]): string[] {
  const turnOf = new Map(waiting.map(({ id }, index) => [id, index]));
  const distance = (id: string) => turnOf.get(id) ?? Number.POSITIVE_INFINITY;
  return able.map(({ id }) => id).sort((a, b) => (distance(a) === distance(b) ? 0 : distance(b) - distance(a)));
}
