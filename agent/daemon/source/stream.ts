import { type Pgoutput, PgoutputPlugin } from "pg-logical-replication";
import { BinaryReader } from "pg-logical-replication/dist/output-plugins/pgoutput/binary-reader.js";
import { abandon, connect } from "../connection";
import { ConnectionLostError } from "../failure";
import { quoted } from "../identifier";
import { formatLsn, type Lsn } from "../lsn";

/** The server has nothing to send before `walEnd`. */
export interface Keepalive {
  readonly tag: "keepalive";
  readonly walEnd: Lsn;
  /** It waits for us, for instance to shut down. */
  readonly urgent: boolean;
}

export type StreamMessage = Pgoutput.Message | Keepalive;

export interface ReplicationStream {
  /** The next message, or undefined after `waitMs` or `wake`. Fails with ConnectionLostError once all that came was handed out. */
  next(waitMs?: number): Promise<StreamMessage | undefined>;
  wake(): void;
  /** Tells the server that everything before `lsn` is safe in the sink; with `ask` it answers with a keepalive. Before the first call it hears of none. */
  acknowledge(lsn: Lsn, ask?: boolean): void;
  /** The end of the source's log, as far as the server has said. */
  readonly serverWalEnd: Lsn;
  /** @param why what `next` fails with from then on. */
  close(why?: string): void;
}

/** Read ahead of the sink at most this much, then let TCP hold the server back. */
const READ_AHEAD_BYTES = 8 * 1024 * 1024;

/** Well within wal_sender_timeout (60 s), also while nothing is read. */
const STATUS_INTERVAL_MS = 5_000;

/**
 * A source that says nothing for so long is gone, in status intervals: half of it before it is asked to answer. It is what PostgreSQL's own
 * subscribers wait (wal_receiver_timeout, 60 s). Intervals are counted, so that a process that stood still takes nobody for gone.
 */
const SILENT_INTERVALS = 12;

const XLOG_DATA = 0x77;
const KEEPALIVE = 0x6b;
const STATUS_UPDATE = 0x72;
const UPDATE = 0x55;
const OLD_ROW = 0x4f;
const OLD_KEY = 0x4b;
const POSTGRES_EPOCH_MS = 946_684_800_000;

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
/** The package takes a byte order mark at the beginning of a value for one of the encoding's, and leaves it out. */
BinaryReader.prototype.decodeText = (bytes) => utf8.decode(bytes);

/**
 * Decodes pgoutput and leaves values as text: the package would make dates and numbers of them, which cannot hold them all.
 * Its replication service is not used: it acknowledges what it has received instead of what is written, one byte too far, so that a
 * transaction whose commit follows at once is skipped after a restart; and it goes on after a change that failed.
 */
class TextPgoutput extends PgoutputPlugin {
  override parse(buffer: Buffer): Pgoutput.Message {
    // A partition may log no more than its key where its table promises whole rows. Of an old row the package would take nulls for values
    // that the new one leaves out; of a key it takes none.
    if (buffer[0] === UPDATE && buffer[5] === OLD_ROW) buffer[5] = OLD_KEY;
    const message: Pgoutput.Message = super.parse(buffer);
    if (message.tag === "relation") {
      // The package reads unsigned numbers as signed ones.
      message.relationOid >>>= 0;
      for (const column of message.columns) {
        column.typeOid >>>= 0;
        column.parser = (text) => text;
      }
    }
    return message;
  }
}

/** What `pg` has below its client, and its types leave out. */
interface WireConnection {
  on(event: "copyData", listener: (message: { chunk: Buffer }) => void): void;
  once(event: "replicationStart", listener: () => void): void;
  sendCopyFromChunk(chunk: Buffer): void;
  readonly stream: { pause(): void; resume(): void };
}

/**
 * Streams committed transactions, in commit order, from `from` on.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */
export async function openStream(
  url: string,
  { slotName, publicationName, from }: { slotName: string; publicationName: string; from: Lsn },
): Promise<ReplicationStream> {
  const client = await connect(url, { replication: true, endless: true });
  const wire = (client as unknown as { connection: WireConnection }).connection;
  const decoder = new TextPgoutput({ protoVersion: 1, publicationNames: [publicationName] });

  const queue: { message: StreamMessage; bytes: number }[] = [];
  let queuedBytes = 0;
  let reading = true;
  let failure: Error | undefined;
  let waiting: (() => void) | undefined;
  let silentIntervals = 0;
  let acknowledged: Lsn = 0n;
  let serverWalEnd = from;

  const wake = () => waiting?.();
  const fail = (error: Error) => {
    failure ??= error;
    wake();
  };
  const acknowledge = (lsn: Lsn, ask = false) => {
    acknowledged = lsn;
    if (!failure) wire.sendCopyFromChunk(statusUpdate(lsn, ask));
  };
  const receive = (chunk: Buffer): StreamMessage | undefined => {
    if (chunk[0] === XLOG_DATA) {
      serverWalEnd = chunk.readBigUInt64BE(9);
      return decoder.parse(chunk.subarray(25));
    }
    if (chunk[0] !== KEEPALIVE) return undefined;
    serverWalEnd = chunk.readBigUInt64BE(1);
    const urgent = chunk[17] === 1;
    if (urgent) acknowledge(acknowledged);
    return { tag: "keepalive", walEnd: serverWalEnd, urgent };
  };

  wire.on("copyData", ({ chunk }) => {
    if (failure) return;
    silentIntervals = 0;
    try {
      const message = receive(chunk);
      if (!message) return;
      queue.push({ message, bytes: chunk.length });
      queuedBytes += chunk.length;
    } catch (error) {
      fail(error as Error);
      return;
    }
    if (reading && queuedBytes > READ_AHEAD_BYTES) {
      reading = false;
      wire.stream.pause();
    }
    wake();
  });

  await new Promise<void>((resolve, reject) => {
    wire.once("replicationStart", resolve);
    client
      .query(
        `START_REPLICATION SLOT ${quoted(slotName)} LOGICAL ${formatLsn(from)} (proto_version '1', publication_names '${publicationName}')`,
      )
      .then(
        () => fail(new ConnectionLostError("the source ended the replication stream")),
        (error) => {
          fail(error);
          reject(error);
        },
      );
    client.once("end", () => {
      const lost = new ConnectionLostError("the source closed the replication connection");
      fail(lost);
      reject(lost);
    });
  }).catch((error) => {
    abandon(client);
    throw error;
  });
  const status = setInterval(() => {
    if (reading) silentIntervals += 1;
    if (silentIntervals >= SILENT_INTERVALS) {
      const silentMs = SILENT_INTERVALS * STATUS_INTERVAL_MS;
      fail(new ConnectionLostError(`the source has said nothing for ${silentMs / 1_000} s`));
    } else acknowledge(acknowledged, silentIntervals >= SILENT_INTERVALS / 2);
  }, STATUS_INTERVAL_MS);

  return {
    next: async (waitMs) => {
      if (queue.length === 0 && !failure) {
        let timer: NodeJS.Timeout | undefined;
        await new Promise<void>((resolve) => {
          waiting = resolve;
          if (waitMs !== undefined) timer = setTimeout(resolve, waitMs);
        });
        clearTimeout(timer);
        waiting = undefined;
      }
      const entry = queue.shift();
      if (!entry) {
        if (failure) throw failure;
        return undefined;
      }
      queuedBytes -= entry.bytes;
      if (!reading && queuedBytes < READ_AHEAD_BYTES / 2) {
        reading = true;
        wire.stream.resume();
      }
      return entry.message;
    },
    wake,
    acknowledge,
    get serverWalEnd() {
      return serverWalEnd;
    },
    close: (why = "the replication connection was closed") => {
      fail(new ConnectionLostError(why));
      clearInterval(status);
      abandon(client);
    },
  };
}

function statusUpdate(lsn: Lsn, ask: boolean): Buffer {
  const update = Buffer.alloc(34);
  update[0] = STATUS_UPDATE;
  for (const field of [1, 9, 17]) update.writeBigUInt64BE(lsn, field);
  update.writeBigInt64BE(BigInt(Date.now() - POSTGRES_EPOCH_MS) * 1000n, 25);
  update[33] = ask ? 1 : 0;
  return update;
}
