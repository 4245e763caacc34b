import type { Client } from "pg";
import { sleep, withDeadline } from "../host/waiting";

/** A statement may take its time; after so long the server is asked whether it still has the session. */
const ASK_AFTER_MS = 30_000;
const ASK_EVERY_MS = 10_000;
const ANSWER_TIMEOUT_MS = 10_000;

/** Times in a row that nobody answers. */
const UNANSWERED = 2;

export interface Watch {
  /** Asks the server on another connection for the session of this one. */
  ask(): Promise<"there" | "gone">;
  cut(why: string): void;
}

/**
 * Cuts the connection when a statement stays unanswered and the server has no such session, or cannot be reached on another connection
 * either: a machine that stands still, or is no more, closes nothing.
 */
export function cutWhenDead(client: Client, watch: Watch): void {
  const query = client.query.bind(client) as (...statement: unknown[]) => Promise<unknown>;
  const watched = (...statement: unknown[]) => {
    const answer = query(...statement);
    const over = new AbortController();
    const end = () => over.abort();
    answer.then(end, end);
    void askUntil(over.signal, watch);
    return answer;
  };
  Object.assign(client, { query: watched });
}

async function askUntil(over: AbortSignal, { ask, cut }: Watch): Promise<void> {
  await sleep(ASK_AFTER_MS, over);
  for (let unanswered = 0; !over.aborted; ) {
    const answer = await withDeadline("an answer", ANSWER_TIMEOUT_MS, ask).catch(() => undefined);
    if (over.aborted) return;
    if (answer === "gone") return cut("no longer has the session of a statement that it did not answer");
    unanswered = answer === undefined ? unanswered + 1 : 0;
    if (unanswered >= UNANSWERED) return cut("answers neither a statement nor a new connection");
    await sleep(ASK_EVERY_MS, over);
  }
}
