import type { Clock } from "./clock";
import { type Health, unsteady } from "./health";
import type { ManifestNode } from "./manifest";
import type { ClusterProbe } from "./probe";
import { RollError } from "./roll-error";
import type { Settings } from "./settings";

const LONGEST_WAIT_MS = 25_000;

/** What every node has to pass right before it goes: the others well, and the cluster willing. */
export class Gate {
  #closedSinceMs: number | undefined;
  #refusals = 0;

  constructor(
    private readonly probe: ClusterProbe,
    private readonly clock: Clock,
    private readonly nodes: readonly ManifestNode[],
    private readonly settings: Settings,
  ) {}

  /** Why these nodes may not go now, undefined when they may. */
  async obstacle(batch: readonly ManifestNode[], health: Health): Promise<string | undefined> {
    const unwell = unsteady(health, this.settings.successes, new Set(batch.map(({ id }) => id)));
    if (unwell !== undefined) return unwell;
    const verdict = await this.probe.canRoll(batch, this.nodes);
    this.#refusals = verdict.ok ? 0 : this.#refusals + 1;
    return verdict.ok
      ? undefined
      : `the cluster does not let ${batch.map(({ id }) => id).join(", ")} go: ${verdict.reason}`;
  }

  /** More nodes of the same zone, as far as the settings allow and the cluster accepts. */
  async widen(first: ManifestNode, open: readonly ManifestNode[]): Promise<ManifestNode[]> {
    const batch = [first];
    for (const node of open.slice(1, -1)) {
      if (batch.length === this.settings.parallelWithinZone) break;
      if (node.zone !== first.zone) continue;
      const verdict = await this.probe.canRoll([...batch, node], this.nodes);
      if (verdict.ok) batch.push(node);
    }
    return batch;
  }

  /** Since when it has been closed, in milliseconds since the epoch; the error once it has been for too long. */
  closed(node: ManifestNode, obstacle: string): number | RollError {
    const nowMs = this.clock.now();
    this.#closedSinceMs ??= nowMs;
    const waitedMs = nowMs - this.#closedSinceMs;
    if (waitedMs < this.settings.gateTimeoutMs) return this.#closedSinceMs;
    return new RollError(
      "GATE_CLOSED",
      `no node was let go for ${Math.round(waitedMs / 1_000)} s; nothing was terminated`,
      {
        node: node.id,
        reason: obstacle,
        next: "repair the node that is named, then `holdfast roll resume`",
      },
    );
  }

  opened(): void {
    this.#closedSinceMs = undefined;
    this.#refusals = 0;
  }

  /** Time until the next look; a gate the cluster keeps closed is asked less often. */
  pauseMs(): number {
    const { pollMs } = this.settings;
    return Math.min(pollMs * 2 ** Math.min(this.#refusals, 4), Math.max(LONGEST_WAIT_MS, pollMs));
  }
}
