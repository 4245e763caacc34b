/** Runs programs on nodes: over SSM in AWS, as local processes in tests. */
export interface NodeChannel {
  /**
   * Runs a program on the node, without a shell, as a user that may manage its services, and gives its standard output.
   * What may not be read by others is in a file on the node, never in `command`: both the channel and the node log that.
   * @throws ChannelError when it did not end with 0 within `timeoutMs`.
   */
  run(nodeId: string, command: readonly string[], timeoutMs: number): Promise<string>;
}

/** A program that did not run to a good end on a node. */
export class ChannelError extends Error {
  constructor(nodeId: string, [program = ""]: readonly string[], why: string) {
    super(`${program} on node ${nodeId}: ${why}`);
    this.name = "ChannelError";
  }
}
