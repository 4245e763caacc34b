import type { SimulatedAws } from "./simulated-aws";

export interface Violation {
  readonly atMs: number;
  readonly what: string;
}

/**
 * Ground truth beside a roll: what was really terminated, who was really down. It looks at the simulated world, never at
 * what the roller was told.
 */
export class Monitor {
  readonly violations: Violation[] = [];
  /** Instances somebody asked to end, in order, each once. */
  readonly terminated: { readonly atMs: number; readonly node: string; readonly instanceId: string }[] = [];
  readonly #downSince = new Map<string, number>();
  /** Nodes taken down by a caller and not serving again: these it knows of without looking. */
  readonly #takenDown = new Set<string>();
  readonly #startedMs: number;

  /** @param knowableMs how long a node must have been down before a roller could know it: one look and one call. */
  constructor(
    private readonly aws: SimulatedAws,
    private readonly knowableMs = 0,
    private readonly maxUnavailable = 1,
  ) {
    const { guests, clock } = aws;
    this.#startedMs = clock.now();
    const onChange = guests.onChange;
    guests.onChange = (nodeId, serving) => {
      onChange(nodeId, serving);
      if (serving) {
        this.#downSince.delete(nodeId);
        this.#takenDown.delete(nodeId);
      } else if (!this.#downSince.has(nodeId)) this.#downSince.set(nodeId, clock.now());
    };
    for (const { id } of aws.manifest.nodes) if (!guests.serving(id)) this.#downSince.set(id, clock.now());
    aws.onRemoval = (instanceId) => this.#removed(instanceId);
  }

  /** Launches the group tried while the node's interface was still with another instance. */
  get launchesIntoUsedInterface(): number {
    return [...this.aws.autoScaling.groups.values()]
      .flatMap(({ activities }) => activities.current.list)
      .filter(({ message, startedMs }) => startedMs >= this.#startedMs && / in use\./.test(message)).length;
  }

  get terminatedNodes(): string[] {
    return this.terminated.map(({ node }) => node);
  }

  #removed(instanceId: string): void {
    if (this.terminated.some((earlier) => earlier.instanceId === instanceId)) return;
    const atMs = this.aws.clock.now();
    const node = this.aws.nodeOf(instanceId) ?? "?";
    this.terminated.push({ atMs, node, instanceId });
    const knownDown = [...this.#downSince].filter(([, since]) => atMs - since > this.knowableMs).map(([id]) => id);
    const othersDown = [...new Set([...this.#takenDown, ...knownDown])].filter((id) => id !== node).sort();
    this.#takenDown.add(node);
    if (othersDown.length >= this.maxUnavailable) {
      this.violations.push({ atMs, what: `${node} terminated while ${othersDown.join(", ")} down` });
    }
  }
}
