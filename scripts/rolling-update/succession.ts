import type { Clock } from "./clock";
import { lockNumber } from "./lock";
import type { ManifestNode } from "./manifest";
import { RollError } from "./roll-error";
import type { Store } from "./store";

/** How long a successor may take to own the cluster: a command is fetched within seconds. */
const STARTS_WITHIN_MS = 120_000;
const LOOK_AGAIN_MS = 1_000;
const MOST_TRIES = 3;

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

/**
 * Has one node after the other go on with the roll, until one owns the cluster, and gives its id.
 * @param successors the best first
 * @param start asks a node to resume; a throw means that it cannot be asked
 * @throws RollError HANDOVER_FAILED, with what kept the last from it; the roll waits in the journal then.
 */
export async function handOn(
  { clock, store }: { readonly clock: Clock; readonly store: Store },
  successors: readonly string[],
  start: (nodeId: string) => Promise<void>,
): Promise<string> {
  const before = await lockNumber(store);
  let reason = "no other node is well";
  for (const nodeId of successors.slice(0, MOST_TRIES)) {
    try {
      await start(nodeId);
    } catch (error) {
      reason = `node ${nodeId}: ${(error as Error).message}`;
      continue;
    }
    const deadlineMs = clock.now() + STARTS_WITHIN_MS;
    while (clock.now() < deadlineMs) {
      if ((await lockNumber(store)) > before) return nodeId;
      await clock.sleep(LOOK_AGAIN_MS);
    }
    reason = `node ${nodeId} did not take the roll over within ${STARTS_WITHIN_MS / 1_000} s`;
  }
  throw new RollError("HANDOVER_FAILED", "the next node is the one this roller runs on, and no other goes on", {
    reason,
    next: "`resume` on another node, or `holdfast roll resume` from anywhere",
  });
}
