import type { Happening } from "./happening";

/** The most nodes that were out of service at one moment between `fromMs` and `untilMs`, over all groups. */
export function mostOutTogether(happenings: readonly Happening[], fromMs: number, untilMs: number): number {
  const out = new Map<string, number>();
  const total = () => [...out.values()].reduce((sum, count) => sum + count, 0);
  let most = 0;
  let began = false;
  for (const happening of happenings) {
    if (happening.kind !== "service" || happening.atMs > untilMs) continue;
    if (happening.atMs >= fromMs && !began) {
      most = total();
      began = true;
    }
    out.set(happening.group, Math.max(0, happening.wanted - happening.serving));
    if (began) most = Math.max(most, total());
  }
  return began ? most : total();
}

/** The most nodes that were out of service at one moment between `fromMs` and `untilMs`, node by node. */
export function mostNodesOut(happenings: readonly Happening[], fromMs: number, untilMs: number): number {
  const out = new Set<string>();
  let most = 0;
  for (const [index, happening] of happenings.entries()) {
    if (happening.atMs > untilMs) break;
    if (happening.kind === "node" && happening.state !== "in service") out.add(happening.node);
    else if (happening.kind === "node" || happening.kind === "gone") out.delete(happening.node ?? "");
    // What was seen in one look has one moment.
    const nextMs = happenings[index + 1]?.atMs ?? Number.POSITIVE_INFINITY;
    if (nextMs > Math.max(happening.atMs, fromMs)) most = Math.max(most, out.size);
  }
  return most;
}

/** The same without what the application says: who is unwell is in service, as far as its group knows. */
export const asGroupsSee = (happenings: readonly Happening[]): readonly Happening[] =>
  happenings.map((happening) =>
    happening.kind === "node" && happening.state === "unwell" ? { ...happening, state: "in service" } : happening,
  );

/** Milliseconds that each node was out of service between `fromMs` and `untilMs`, for those that were. */
export function outOfService(
  happenings: readonly Happening[],
  fromMs: number,
  untilMs: number,
): Readonly<Record<string, number>> {
  const sinceMs = new Map<string, number>();
  const outMs = new Map<string, number>();
  const add = (node: string, endMs: number) => {
    const since = sinceMs.get(node);
    sinceMs.delete(node);
    const within = since === undefined ? 0 : Math.min(endMs, untilMs) - Math.max(since, fromMs);
    if (within > 0) outMs.set(node, (outMs.get(node) ?? 0) + within);
  };
  for (const happening of happenings) {
    if (happening.kind === "gone") add(happening.node, happening.atMs);
    if (happening.kind !== "node") continue;
    if (happening.state === "in service") add(happening.node, happening.atMs);
    else if (!sinceMs.has(happening.node)) sinceMs.set(happening.node, happening.atMs);
  }
  for (const node of [...sinceMs.keys()]) add(node, untilMs);
  return Object.fromEntries(outMs);
}
