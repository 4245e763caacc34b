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

/** A signal that is aborted when an asker leaves before its answer is written to its end. It is made when it is asked for. */
export function signalOfLeaving(outgoing: HttpBindings["outgoing"]): () => AbortSignal {
  let signal: AbortSignal | undefined;
  return () => {
    signal ??= abortedWithout(outgoing);
    return signal;
  };
}

/** Calls back when an answer is over before it was written to its end, or at once where it is already. */
function whenCutShort(outgoing: HttpBindings["outgoing"], cutShort: () => void): void {
  const look = (): void => {
    if (!outgoing.writableFinished) cutShort();
  };
  if (outgoing.destroyed) look();
  else outgoing.once("close", look);
}

function abortedWithout(outgoing: HttpBindings["outgoing"]): AbortSignal {
  const left = new AbortController();
  whenCutShort(outgoing, () => left.abort());
  return left.signal;
}
