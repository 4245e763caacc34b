import type { ManifestNode } from "../manifest";
import type { NodeChannel } from "../node-channel";
import type { Surroundings } from "./cluster-adapter";

/** @throws Error when the adapter has no way to its nodes. */
export function channelOf({ channel }: Surroundings, kind: string): NodeChannel {
  if (channel) return channel;
  throw new Error(`${kind} is asked through a program on its nodes: it needs a channel to them`);
}

/** What the first node says that says anything; all are asked at once. @throws Error with what one of them said instead. */
export async function firstAnswer<Answer>(
  nodes: readonly ManifestNode[],
  ask: (node: ManifestNode) => Promise<Answer>,
): Promise<Answer> {
  try {
    return await Promise.any(nodes.map(ask));
  } catch (error) {
    const [first] = error instanceof AggregateError ? error.errors : [error];
    throw first instanceof Error ? first : new Error("there is no node to ask");
  }
}
