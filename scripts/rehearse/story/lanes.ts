import type { Happening, NodeState } from "./happening";

/** A stretch of time in which a node was one thing. */
export interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly state: NodeState;
  readonly instance: string | undefined;
}

/** A stretch of time in which the rolling update had a node in hand. */
export interface Rolled {
  readonly fromMs: number;
  readonly untilMs: number;
}

export interface Lane {
  readonly node: string;
  readonly spans: readonly Span[];
  readonly rolled: readonly Rolled[];
}

interface OpenLane {
  readonly spans: Span[];
  readonly rolled: Rolled[];
  state: { readonly fromMs: number; readonly state: NodeState; readonly instance: string | undefined } | undefined;
  rollingSinceMs: number | undefined;
}

/** What each node was and when, up to `untilMs`; nodes in the order of their names. */
export function lanesOf(happenings: readonly Happening[], untilMs: number): readonly Lane[] {
  const lanes = new Map<string, OpenLane>();
  const laneOf = (node: string): OpenLane => {
    const known = lanes.get(node) ?? { spans: [], rolled: [], state: undefined, rollingSinceMs: undefined };
    lanes.set(node, known);
    return known;
  };
  const close = (lane: OpenLane, atMs: number) => {
    if (lane.state && atMs > lane.state.fromMs) lane.spans.push({ ...lane.state, untilMs: atMs });
    lane.state = undefined;
  };
  const closeRoll = (lane: OpenLane, atMs: number) => {
    if (lane.rollingSinceMs !== undefined) lane.rolled.push({ fromMs: lane.rollingSinceMs, untilMs: atMs });
    lane.rollingSinceMs = undefined;
  };

  for (const happening of happenings) {
    const { atMs } = happening;
    switch (happening.kind) {
      case "node": {
        const lane = laneOf(happening.node);
        close(lane, atMs);
        lane.state = { fromMs: atMs, state: happening.state, instance: happening.instance };
        break;
      }
      case "gone":
        close(laneOf(happening.node), atMs);
        break;
      case "rolling": {
        const lane = laneOf(happening.node);
        if (happening.over) closeRoll(lane, atMs);
        else lane.rollingSinceMs ??= atMs;
        break;
      }
    }
  }
  for (const lane of lanes.values()) {
    close(lane, untilMs);
    closeRoll(lane, untilMs);
  }
  return [...lanes]
    .sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))
    .map(([node, { spans, rolled }]) => ({ node, spans, rolled }));
}
