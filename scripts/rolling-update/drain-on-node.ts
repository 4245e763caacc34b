import type { NodeChannel } from "./node-channel";
import type { Drain } from "./probe";

/** A drain that is a line of shell on the node itself, and one that takes it back. */
export function drainOnNode(
  channel: NodeChannel,
  drain: string,
  undrain: string | undefined,
  timeoutMs: number,
): Drain {
  const run = async (nodeId: string, line: string) => {
    await channel.run(nodeId, ["/bin/sh", "-c", line], timeoutMs);
  };
  return {
    drain: ({ nodeId }) => run(nodeId, drain),
    undrain: async ({ nodeId }) => {
      if (undrain !== undefined) await run(nodeId, undrain);
    },
  };
}
