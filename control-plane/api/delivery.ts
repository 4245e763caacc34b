import type { HttpBindings } from "@hono/node-server";

/**
 * Calls back when an answer may not have reached its asker: it could not be written to its end, or its connection was reset within so
 * many milliseconds, with what the asker had not read yet. It may call twice.
 */
export function whenUndelivered(
  outgoing: HttpBindings["outgoing"],
  resetWithinMs: number,
  undelivered: () => void,
): void {
  whenCutShort(outgoing, undelivered);
  const { socket } = outgoing;
  if (!socket) return;
  const closed = (hadError: boolean): void => {
    if (hadError) undelivered();
  };
  // A proxy sends the requests of many over one connection.
  socket.setMaxListeners(0).once("close", closed);
  setTimeout(() => socket.off("close", closed), resetWithinMs).unref();
}

/** Whether an asker has left before its answer was written to its end: what an AbortSignal says of it, which takes a KiB and a half for itself. */
export interface Leaving {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** Of the asker for whom an answer is. Whoever listens is to stop before the answer is written. */
export class LeavingAsker implements Leaving {
  constructor(private readonly outgoing: HttpBindings["outgoing"]) {}

  get aborted(): boolean {
    return this.outgoing.destroyed && !this.outgoing.writableFinished;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.outgoing.on("close", listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.outgoing.off("close", listener);
  }
}

/** Calls back when an answer is over before it was written to its end, or at once where it is already. */
function whenCutShort(outgoing: HttpBindings["outgoing"], cutShort: () => void): void {
  const look = (): void => {
    if (!outgoing.writableFinished) cutShort();
  };
  if (outgoing.destroyed) look();
  else outgoing.once("close", look);
}
