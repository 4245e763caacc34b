import * as z from "zod/mini";
import type { Template } from "./cloud";
import { adviceFor, type LaunchFailure } from "./failures";
import type { RollErrorCode } from "./roll-error";
import { type Settings, strategySchema } from "./settings";

/** The states of one node's replacement; the table is in docs/rolling-update.md. */
export const REPLACEMENT_STATES = [
  "draining",
  "holding",
  "terminating",
  "launching",
  "validating",
  "baking",
  "done",
  "failed",
] as const;
export type ReplacementState = (typeof REPLACEMENT_STATES)[number];

export const templateSchema = z.strictObject({ id: z.string(), version: z.int() });

export const failureSchema = z.strictObject({
  code: z.custom<RollErrorCode>((code) => typeof code === "string"),
  message: z.string(),
  reason: z.optional(z.string()),
  next: z.optional(z.string()),
});
export type Failure = z.infer<typeof failureSchema>;

/** One node's replacement as the journal keeps it. */
export const replacementSchema = z.strictObject({
  rollId: z.string(),
  node: z.string(),
  state: z.enum(REPLACEMENT_STATES),
  /** When the state was entered. */
  sinceMs: z.number(),
  startedMs: z.number(),
  /** The instance that goes; absent when the node had none. */
  oldInstance: z.optional(z.string()),
  /** What it was launched from: the way back. */
  from: z.optional(templateSchema),
  to: templateSchema,
  /** How the instance is replaced, and so how a hold is given back, whatever the settings of a later run. */
  strategy: strategySchema,
  /** The group is kept from launching by this roll. */
  held: z.boolean(),
  drained: z.boolean(),
  newInstance: z.optional(z.string()),
  releasedMs: z.optional(z.number()),
  /** Newest scaling activity known before the launch was released that is not the replacement's own. */
  lastActivity: z.optional(z.string()),
  heartbeatMs: z.optional(z.number()),
  failure: z.optional(failureSchema),
  /** How long each state lasted. */
  durations: z.record(z.string(), z.number()),
});
export type Replacement = z.infer<typeof replacementSchema>;

/** What of the world the next step of one replacement depends on. */
export interface NodeFacts {
  readonly nowMs: number;
  /** Every other node was healthy for the required checks in a row, and the cluster accepts that this one goes. */
  readonly clear: boolean;
  readonly obstacle: string | undefined;
  readonly drain: "none" | "not started" | "running" | "done" | { readonly failed: string };
  /** How the old instance leaves: by its group, by abandoning the hook it hangs in, or it is leaving or gone. */
  readonly removal: "terminate" | { readonly abandonHook: string } | "under way";
  /** The old instance is terminated and interface and volumes are available. */
  readonly released: boolean;
  readonly blocker: string | undefined;
  /** Of the group, but for the launch of `replacement`. */
  readonly newestActivity: string | undefined;
  /** The instance after the old one. */
  readonly replacement:
    | { readonly id: string; readonly template: Template | undefined; readonly hook?: Hooked }
    | undefined;
  /** The replacement is of the target, in service, healthy, and holds interface and volumes. */
  readonly inPlace: boolean;
  readonly launchFailure: LaunchFailure | undefined;
  /** The whole cluster was healthy for the required checks in a row. */
  readonly validated: boolean;
  /** Only nodes that are not being replaced keep the cluster from it. */
  readonly othersUnwell: boolean;
  readonly firingAlarms: readonly string[];
  readonly bakeMs: number;
}

/** A launch hook the replacement waits in. */
export interface Hooked {
  readonly name: string;
  readonly heartbeatMs: number;
}

export type Action =
  | { readonly do: "drain" }
  | { readonly do: "undrain" }
  | { readonly do: "hold" }
  | { readonly do: "terminate"; readonly instanceId: string }
  | { readonly do: "abandon"; readonly instanceId: string; readonly hook: string }
  | { readonly do: "release" }
  | { readonly do: "heartbeat"; readonly instanceId: string; readonly hook: string };

/** `before` is journaled, then the actions run in order, then `after` is journaled: a crash repeats the actions, never skips one. */
export interface Step {
  readonly before: Replacement;
  readonly actions: readonly Action[];
  readonly after: Replacement;
  /** Why the roll goes no further, where that is not this node's failure. */
  readonly halt?: Failure;
}

const stay = (current: Replacement, ...actions: Action[]): Step => ({ before: current, actions, after: current });

function enter(
  current: Replacement,
  state: ReplacementState,
  facts: NodeFacts,
  change: Partial<Replacement> = {},
): Replacement {
  const lasted = facts.nowMs - current.sinceMs;
  return {
    ...current,
    ...change,
    state,
    sinceMs: facts.nowMs,
    durations: { ...current.durations, [current.state]: (current.durations[current.state] ?? 0) + lasted },
  };
}

/** Ends the replacement and gives back what it took: the launch of the group, the node's place in the cluster. */
function fail(current: Replacement, facts: NodeFacts, failure: Failure): Step {
  const actions: Action[] = [];
  if (current.held) actions.push({ do: "release" });
  if (current.drained && (current.state === "draining" || current.state === "holding")) actions.push({ do: "undrain" });
  return { before: current, actions, after: enter(current, "failed", facts, { failure, held: false }) };
}

const RESUME = "`holdfast roll resume` goes on from here; `holdfast roll status` shows the journal";

/** The next step of one replacement: the whole of what a roller does to a node. */
export function nextStep(current: Replacement, facts: NodeFacts, settings: Settings): Step {
  const lasted = facts.nowMs - current.sinceMs;
  switch (current.state) {
    case "draining":
      return draining(current, facts, settings, lasted);

    case "holding":
      if (facts.removal === "under way" || facts.clear) return remove(current, facts);
      if (lasted < settings.gateTimeoutMs) return stay(current);
      return fail(current, facts, {
        code: "GATE_CLOSED",
        message: "the cluster did not become healthy enough to let the node go; nothing was terminated",
        ...reason(facts.obstacle),
        next: RESUME,
      });

    case "terminating":
      if (facts.released || facts.replacement) {
        const after = enter(current, "launching", facts, {
          held: false,
          releasedMs: facts.nowMs,
          ...(facts.newestActivity === undefined ? {} : { lastActivity: facts.newestActivity }),
        });
        return { before: { ...current, held: true }, actions: [{ do: "release" }], after };
      }
      if (lasted < settings.terminateTimeoutMs) return stay(current);
      return fail(current, facts, {
        code: "TERMINATE_TIMEOUT",
        message: "the old instance, interface or volumes did not come free",
        ...reason(facts.blocker),
        next: RESUME,
      });

    case "launching":
      return launching(current, facts, settings, lasted);

    case "validating":
    case "baking":
      return watching(current, facts, settings, lasted);

    case "done":
    case "failed":
      return stay(current);
  }
}

function draining(current: Replacement, facts: NodeFacts, settings: Settings, lasted: number): Step {
  if (facts.removal === "under way" || facts.drain === "none" || facts.drain === "done") return hold(current, facts);
  if (facts.drain === "not started") return stay({ ...current, drained: true }, { do: "drain" });
  const late = lasted >= settings.drainTimeoutMs ? `no end after ${settings.drainTimeoutMs / 1_000} s` : undefined;
  const why = facts.drain === "running" ? late : facts.drain.failed;
  if (why === undefined) return stay(current);
  if (settings.forceDrain) return hold(current, facts);
  return fail(current, facts, {
    code: "DRAIN_FAILED",
    message: "the node was not drained; it was not terminated",
    reason: why,
    next: "repair the drain command, or `holdfast roll run --yes --force-drain`",
  });
}

/** In one turn where nothing stands against it: a held group whose node still serves is a group that could not heal. */
function hold(current: Replacement, facts: NodeFacts): Step {
  const holding = enter(current, "holding", facts);
  return facts.clear || facts.removal === "under way" ? remove(holding, facts) : stay(holding);
}

function remove(current: Replacement, facts: NodeFacts): Step {
  const held = { ...current, held: true };
  const actions: Action[] = [{ do: "hold" }];
  if (current.oldInstance !== undefined && facts.removal !== "under way") {
    actions.push(
      facts.removal === "terminate"
        ? { do: "terminate", instanceId: current.oldInstance }
        : { do: "abandon", instanceId: current.oldInstance, hook: facts.removal.abandonHook },
    );
  }
  return { before: held, actions, after: enter(held, "terminating", facts) };
}

function launching(current: Replacement, facts: NodeFacts, settings: Settings, lasted: number): Step {
  const { replacement } = facts;
  if (
    facts.launchFailure &&
    !(facts.launchFailure.code === "INTERFACE_IN_USE" && current.strategy === "group-replaces")
  ) {
    const { code, reason: why } = facts.launchFailure;
    return fail(current, facts, {
      code,
      message: "the group could not start the replacement",
      reason: why,
      next: adviceFor(code),
    });
  }
  if (replacement?.template && !isSame(replacement.template, current.to)) {
    return fail(current, facts, {
      code: "TARGET_MOVED",
      message: `the group launched ${replacement.template.id}:${replacement.template.version} instead of ${current.to.id}:${current.to.version}`,
      next: "the template changed during the roll: `holdfast roll run --yes` takes the new one",
    });
  }
  const known = replacement ? { ...current, newInstance: replacement.id } : current;
  if (facts.inPlace) return stay(enter(known, "validating", facts));
  if (lasted >= settings.launchTimeoutMs) {
    return fail(known, facts, {
      code: "LAUNCH_TIMEOUT",
      message: `the replacement is not in service after ${settings.launchTimeoutMs / 60_000} min`,
      ...reason(facts.blocker),
      next: "read what the node printed; correct the release and apply it: the next roll starts with this node",
    });
  }
  if (replacement?.hook && facts.nowMs - (known.heartbeatMs ?? known.sinceMs) >= replacement.hook.heartbeatMs / 3) {
    return stay(
      { ...known, heartbeatMs: facts.nowMs },
      { do: "heartbeat", instanceId: replacement.id, hook: replacement.hook.name },
    );
  }
  return stay(known);
}

function watching(current: Replacement, facts: NodeFacts, settings: Settings, lasted: number): Step {
  if (facts.firingAlarms.length > 0) {
    return fail(current, facts, {
      code: "ALARM",
      message: `alarm ${facts.firingAlarms.join(", ")} fires after the node was replaced`,
      next: "`holdfast roll rollback --yes`, or `holdfast roll resume` once the alarm is quiet",
    });
  }
  if (facts.replacement && facts.replacement.id !== current.newInstance) {
    return fail(current, facts, {
      code: "INSTANCE_LOST",
      message: `replacement ${current.newInstance} was itself replaced by ${facts.replacement.id}`,
      next: "look at the scaling activities of the group, then `holdfast roll resume`",
    });
  }
  if (current.state === "validating") {
    if (facts.validated) {
      return facts.bakeMs > 0 ? stay(enter(current, "baking", facts)) : stay(enter(current, "done", facts));
    }
    if (lasted < settings.healthTimeoutMs) return stay(current);
  } else {
    if (facts.validated) return lasted >= facts.bakeMs ? stay(enter(current, "done", facts)) : stay(current);
    if (lasted < facts.bakeMs + settings.healthTimeoutMs) return stay(current);
  }
  if (facts.othersUnwell) {
    const halt: Failure = {
      code: "GATE_CLOSED",
      message: "the node is well, the cluster around it is not; nothing more was terminated",
      ...reason(facts.obstacle),
      next: "repair the node that is named, then `holdfast roll resume`",
    };
    return { ...stay(enter(current, "done", facts)), halt };
  }
  return fail(current, facts, {
    code: "CLUSTER_UNHEALTHY",
    message: "the node did not become healthy after it was replaced",
    ...reason(facts.obstacle),
    next: "look at the node, then `holdfast roll resume`, or `holdfast roll rollback --yes`",
  });
}

export function isSame(a: Template, b: Template): boolean {
  return a.id === b.id && a.version === b.version;
}

export function isOver({ state }: Replacement): boolean {
  return state === "done" || state === "failed";
}

function reason(text: string | undefined): { reason?: string } {
  return text === undefined ? {} : { reason: text };
}
