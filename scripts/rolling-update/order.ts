import type { ManifestNode } from "./manifest";

/**
 * Who goes first: nodes that are down already, then zone by zone, the leader last. Asked again before every step, since
 * leadership moves.
 */
export function inOrder(
  nodes: readonly ManifestNode[],
  isDown: (node: ManifestNode) => boolean,
  leader: string | undefined,
): ManifestNode[] {
  const rank = (node: ManifestNode) => (isDown(node) ? 0 : node.id === leader ? 2 : 1);
  return [...nodes].sort((a, b) => rank(a) - rank(b) || compare(a.zone, b.zone) || compare(a.id, b.id));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
