import type { Pgoutput } from "pg-logical-replication";
import { COPY_AGAIN, SetupError } from "../failure";
import { formatLsn, type Lsn, parseLsn } from "../lsn";
import type { ReplicationStream, StreamMessage } from "./stream";

/** A transaction of the source, as its log tells it from every other. */
export interface LastTransaction {
  /** Where its commit record begins. */
  readonly lsn: Lsn;
  /** 0 where there is none yet: then the slot was made at `lsn`. */
  readonly xid: number;
  /** Microseconds of Unix time. */
  readonly committedAt: string;
}

/** In place of the last transaction of a new slot. */
export function noneSince(lsn: Lsn): LastTransaction {
  return { lsn, xid: 0, committedAt: "0" };
}

export function transactionOf({ commitLsn, xid, commitTime }: Pgoutput.MessageBegin): LastTransaction {
  return { lsn: parseLsn(commitLsn ?? "0/0"), xid: xid >>> 0, committedAt: `${commitTime}` };
}

/**
 * A stream that begins with the transaction that the sink has last, and hands out what comes after it. A source that was restored, and has
 * written beyond the sink's position since, has another one there: its addresses are the same, and what they lead to is not.
 *
 * @param position of the sink; the source hears of it once it is known again.
 * @throws SetupError from `next` where the log has another transaction in its place, or none.
 */
export function resumedStream(stream: ReplicationStream, last: LastTransaction, position: Lsn): ReplicationStream {
  let phase: "before" | "within" | "after" = "before";
  const accept = (message: StreamMessage): boolean => {
    switch (message.tag) {
      case "keepalive":
        if (phase === "before" && message.walEnd > last.lsn) throw anotherLog(last, "passes over it");
        return phase === "after";
      case "begin":
        if (phase === "before" && !isSame(transactionOf(message), last)) {
          throw anotherLog(last, `has ${describe(transactionOf(message))}`);
        }
        phase = "within";
        return true;
      case "commit":
        phase = "after";
        stream.acknowledge(position);
        return true;
      // The server describes a table once.
      default:
        return message.tag === "relation";
    }
  };
  return {
    next: async (waitMs) => {
      if (phase === "after") return stream.next(waitMs);
      const message = await stream.next(waitMs);
      return message && accept(message) ? message : undefined;
    },
    wake: () => stream.wake(),
    acknowledge: (lsn, ask) => stream.acknowledge(phase === "after" ? lsn : 0n, ask),
    get serverWalEnd() {
      return stream.serverWalEnd;
    },
    close: (why) => stream.close(why),
  };
}

function isSame(left: LastTransaction, right: LastTransaction): boolean {
  return left.lsn === right.lsn && left.xid === right.xid && left.committedAt === right.committedAt;
}

function describe({ lsn, xid, committedAt }: LastTransaction): string {
  return `transaction ${xid} of ${new Date(Number(BigInt(committedAt) / 1000n)).toISOString()} at ${formatLsn(lsn)}`;
}

function anotherLog(last: LastTransaction, found: string): SetupError {
  return new SetupError(
    `the source's log is another one than the sink was written from: that ended with ${describe(last)}, and this one ${found}, as after a restore ` +
      `or a failover that lost the end. Drop the slot if there is one, ${COPY_AGAIN}`,
  );
}
