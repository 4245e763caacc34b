import type { ManifestNode } from "../manifest";
import { type NodeHealth, unhealthy } from "../probe";
import { majorityStays } from "../probes/node-checks";

/**
 * Whether a majority of the voters stays and is well when some nodes go.
 * @param voters ids of everything that votes, members that are no node of the manifest included
 * @param isWell whether a voter serves now
 */
export function quorumStays(
  going: readonly ManifestNode[],
  voters: readonly string[],
  isWell: (voter: string) => boolean,
): NodeHealth {
  const leaving = new Set(going.map(({ id }) => id));
  return majorityStays(voters.filter((voter) => !leaving.has(voter) && isWell(voter)).length, voters.length);
}

/** One answer per node; a check that throws is a node that is not well. */
export async function healthOf(
  nodes: readonly ManifestNode[],
  check: (node: ManifestNode) => Promise<NodeHealth>,
): Promise<ReadonlyMap<string, NodeHealth>> {
  const asked = nodes.map(async (node) => [node.id, await check(node).catch(refusal)] as const);
  return new Map(await Promise.all(asked));
}

/** What the nodes that answered said. */
export async function answersOf<Answer>(
  nodes: readonly ManifestNode[],
  ask: (node: ManifestNode) => Promise<Answer>,
): Promise<ReadonlyMap<string, Answer>> {
  const answers = await Promise.allSettled(nodes.map(ask));
  return new Map(
    nodes.flatMap(({ id }, index) => {
      const answer = answers[index];
      return answer?.status === "fulfilled" ? [[id, answer.value] as const] : [];
    }),
  );
}

function refusal(error: unknown): NodeHealth {
  return unhealthy(error instanceof Error ? error.message : String(error));
}
