import type { ReplicationStream } from "./stream";

/**
 * A stream whose reader also meets what the stream does not tell: before the first message and every `periodMs` while it is read, `check` is
 * run, and its failure is the stream's.
 */
export function checkedStream(
  stream: ReplicationStream,
  periodMs: number,
  check: () => Promise<void>,
): ReplicationStream {
  let dueAt = 0;
  let woken = false;
  return {
    next: async (waitMs = Number.POSITIVE_INFINITY) => {
      if (performance.now() >= dueAt) {
        woken = false;
        await check();
        dueAt = performance.now() + periodMs;
        if (woken) return undefined;
      }
      return stream.next(Math.min(waitMs, Math.max(0, dueAt - performance.now())));
    },
    wake: () => {
      woken = true;
      stream.wake();
    },
    acknowledge: (lsn, ask) => stream.acknowledge(lsn, ask),
    get serverWalEnd() {
      return stream.serverWalEnd;
    },
    close: (why) => stream.close(why),
  };
}
