import type { IncomingMessage } from "node:http";
import { RequestRefused } from "./refusal";

/** Heartbeats of 200 jobs with their details fit. */
export const BODY_LIMIT_BYTES = 1_048_576;

export const tooLarge = (): RequestRefused =>
  new RequestRefused(413, "too_large", `a body has at most ${BODY_LIMIT_BYTES} bytes`);

/** Whether a request says how long its body is, and that it is within the limit: node:http takes no byte more. */
export function isDeclaredShort({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] === undefined && Number(headers["content-length"]) <= BODY_LIMIT_BYTES;
}

const UTF8 = new TextDecoder();

/**
 * Reads the body of a request that is declared short, and keeps nothing of it: a parked claim's request stays for a minute.
 *
 * @throws Error when the asker leaves before its end, or has left
 */
export function textOf(incoming: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    if (incoming.destroyed) throw incoming.errored ?? new Error("the asker has left");
    const parts: Buffer[] = [];
    incoming.on("data", (part: Buffer) => parts.push(part));
    incoming.on("end", () => {
      resolve(UTF8.decode(parts.length === 1 ? parts[0] : Buffer.concat(parts)));
      parts.length = 0;
    });
    incoming.on("error", reject);
  });
}

/** What failed where a body could not be read: that its asker has left in its midst is the asker's doing, and nobody else's. */
export function unread(error: unknown, { destroyed, complete }: IncomingMessage): unknown {
  const isCutShort = destroyed && !complete;
  return isCutShort ? new RequestRefused(400, "invalid_message", "the body has not come to its end") : error;
}
