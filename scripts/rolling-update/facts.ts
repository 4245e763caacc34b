import type { Hook, Template } from "./cloud";
import { launchFailure } from "./failures";
import type { NodeFacts, Replacement } from "./replacement";
import { launchHook, member, missing, type NodeView, occupied } from "./world";

/** What the whole turn knows and every node's step depends on. */
export interface TurnFacts {
  readonly nowMs: number;
  /** Why the other nodes do not let the batch go now; undefined: they do. */
  readonly obstacle: string | undefined;
  /** Why the whole cluster is not healthy for long enough; undefined: it is. */
  readonly unvalidated: string | undefined;
  /** That is because of nodes outside the batch alone. */
  readonly othersUnwell: boolean;
  readonly drain: NodeFacts["drain"];
  readonly firingAlarms: readonly string[];
  readonly bakeMs: number;
}

/** One node's facts, from what AWS shows and what the turn knows. */
export function factsOf(replacement: Replacement, view: NodeView, hooks: readonly Hook[], turn: TurnFacts): NodeFacts {
  const { oldInstance, to, state } = replacement;
  const current = member(view, oldInstance);
  const hook = launchHook(hooks);
  const busy = occupied(view, oldInstance);
  const lacking = missing(view, oldInstance, to);
  const isWatched = state === "validating" || state === "baking";
  return {
    nowMs: turn.nowMs,
    clear: turn.obstacle === undefined,
    obstacle: isWatched ? turn.unvalidated : turn.obstacle,
    drain: turn.drain,
    removal: removalOf(replacement, view, hook),
    released: busy === undefined,
    blocker: state === "terminating" ? busy : lacking,
    newestActivity: view.activities.find(({ description }) => !description.includes(current?.id ?? "?"))?.id,
    replacement: current && {
      id: current.id,
      template: numbered(current.template),
      ...(hook && current.lifecycle === "Pending:Wait"
        ? { hook: { name: hook.name, heartbeatMs: hook.heartbeatMs } }
        : {}),
    },
    inPlace: lacking === undefined,
    launchFailure: launchFailure(
      view.activities,
      replacement.releasedMs ?? replacement.startedMs,
      replacement.lastActivity,
    ),
    validated: turn.unvalidated === undefined,
    othersUnwell: turn.othersUnwell,
    firingAlarms: isWatched ? turn.firingAlarms : [],
    bakeMs: turn.bakeMs,
  };
}

function removalOf({ oldInstance }: Replacement, view: NodeView, hook: Hook | undefined): NodeFacts["removal"] {
  const old = view.group.instances.find(({ id }) => id === oldInstance);
  const state = oldInstance === undefined ? undefined : view.instances.get(oldInstance)?.state;
  if (!old || old.lifecycle.startsWith("Terminat") || state === "shutting-down" || state === "terminated") {
    return "under way";
  }
  return hook && old.lifecycle === "Pending:Wait" ? { abandonHook: hook.name } : "terminate";
}

function numbered(template: { readonly id: string; readonly version: string } | undefined): Template | undefined {
  return template && { id: template.id, version: Number(template.version) };
}
