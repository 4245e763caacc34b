import type { Clock } from "../clock";
import type { ManifestNode } from "../manifest";
import type { ClusterProbe, Drain, DrainTarget } from "../probe";
import type { MemberSettings, Surroundings } from "./cluster-adapter";

const POLL_MS = 50;

/** Asks the leader to let another node lead; whether one does is seen by asking again. */
export type Transfer = (leader: ManifestNode) => Promise<void>;

/**
 * How a member leaves: leadership first, then the member itself, each only when the cluster can bear it. All of it may be
 * repeated, by a roller that died in the middle.
 * @param transfer absent where the protocol has none: there a leader that stops cleanly resigns.
 */
export function handOver(
  { nodes, clock, channel }: Surroundings,
  probe: ClusterProbe,
  settings: MemberSettings,
  transfer?: Transfer,
): Drain {
  const { handOverTimeoutMs } = settings;
  const nodeOf = ({ nodeId }: DrainTarget): ManifestNode => {
    const node = nodes.find(({ id }) => id === nodeId);
    if (!node) throw new Error(`the cluster has no node ${nodeId}`);
    return node;
  };

  const anotherLeads = (node: ManifestNode, deadlineMs: number) =>
    until(
      clock,
      deadlineMs,
      `no other node leads ${handOverTimeoutMs / 1_000} s after node ${node.id} gave way`,
      async () => {
        const leader = await probe.leader(nodes);
        return leader !== undefined && leader !== node.id;
      },
    );

  /** A member that is down already has nothing to stop; that its node cannot be reached must not keep it from being replaced. */
  const stop = async (node: ManifestNode) => {
    if (!channel) return;
    const wasWell = (await probe.health([node])).get(node.id)?.ok === true;
    try {
      await channel.run(node.id, settings.stop, handOverTimeoutMs);
    } catch (error) {
      if (wasWell) throw error;
    }
  };

  return {
    drain: async (target) => {
      const node = nodeOf(target);
      const deadlineMs = clock.now() + handOverTimeoutMs;
      const verdict = await probe.canRoll([node], nodes);
      if (!verdict.ok) throw new Error(`node ${node.id} was left as it was: ${verdict.reason}`);
      if (transfer && (await probe.leader(nodes)) === node.id) {
        await transfer(node);
        await anotherLeads(node, deadlineMs);
      }
      await stop(node);
      if (channel && nodes.length > 1) await anotherLeads(node, deadlineMs);
    },
    undrain: async (target) => {
      await channel?.run(nodeOf(target).id, settings.start, handOverTimeoutMs);
    },
  };
}

async function until(
  clock: Clock,
  deadlineMs: number,
  otherwise: string,
  condition: () => Promise<boolean>,
): Promise<void> {
  while (!(await condition())) {
    if (clock.now() >= deadlineMs) throw new Error(otherwise);
    await clock.sleep(POLL_MS);
  }
}
