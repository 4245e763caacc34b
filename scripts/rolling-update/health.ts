import type { Manifest, ManifestNode } from "./manifest";
import type { ClusterProbe } from "./probe";
import type { Replacement } from "./replacement";
import { outage, type World } from "./world";

/** The cluster's health at one look, and how long it has been so. */
export interface Health {
  /** Reason per node that is not well. */
  readonly troubles: ReadonlyMap<string, string>;
  /** Per node, looks in a row at which it was well. */
  readonly streaks: ReadonlyMap<string, number>;
}

/** AWS and the application asked about every node; a node counts only when both say yes. */
export async function examine(
  world: World,
  manifest: Manifest,
  probe: ClusterProbe,
  replacements: ReadonlyMap<string, Replacement>,
): Promise<ReadonlyMap<string, string>> {
  const answers = await probe.health(manifest.nodes);
  const troubles = new Map<string, string>();
  for (const view of world.values()) {
    const { id } = view.node;
    const answer = answers.get(id);
    const trouble =
      outage(view, replacements.get(id)?.oldInstance) ??
      (answer === undefined ? "the probe gave no answer" : answer.ok ? undefined : answer.reason);
    if (trouble !== undefined) troubles.set(id, trouble);
  }
  return troubles;
}

/** One more look: a node's streak grows by one, or starts again at a single failure. */
export function countStreaks(
  manifest: Manifest,
  before: ReadonlyMap<string, number>,
  troubles: ReadonlyMap<string, string>,
): Health {
  const streaks = new Map<string, number>();
  for (const { id } of manifest.nodes) streaks.set(id, troubles.has(id) ? 0 : (before.get(id) ?? 0) + 1);
  return { troubles, streaks };
}

/** What keeps the whole cluster from counting as healthy: the batch that was replaced comes first, since it may be at fault. */
export function validation(
  health: Health,
  successes: number,
  batch: readonly ManifestNode[],
): { readonly unvalidated: string | undefined; readonly othersUnwell: boolean } {
  const replaced = new Set(batch.map(({ id }) => id));
  const others = new Set([...health.streaks.keys()].filter((id) => !replaced.has(id)));
  const own = unsteady(health, successes, others);
  const unvalidated = own ?? unsteady(health, successes, replaced);
  return { unvalidated, othersUnwell: own === undefined && unvalidated !== undefined };
}

/** Why the nodes other than `except` have not been well for long enough, undefined when they have. */
export function unsteady(
  health: Health,
  successes: number,
  except: ReadonlySet<string> = new Set(),
): string | undefined {
  for (const [id, streak] of health.streaks) {
    if (except.has(id) || streak >= successes) continue;
    const trouble = health.troubles.get(id);
    return trouble === undefined
      ? `node ${id} was healthy at ${streak} of ${successes} checks in a row`
      : `node ${id}: ${trouble}`;
  }
  return undefined;
}
