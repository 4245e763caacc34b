import { realpathSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { parentPort, Worker, workerData } from "node:worker_threads";
import type { Response } from "../../control-plane/protocol";
import { type Fields, reason } from "../host/log";
import { Nap } from "../host/nap";
import { controlPlaneClient } from "./control-plane-client";
import { type Beat, type HeartbeatsEnd, type SendHeartbeats, sendHeartbeats } from "./heartbeats";

export interface HeartbeatThreadProps {
  readonly controlPlaneUrl: string;
  /** Calls `beatInThread` where it is not the main thread. @default - the program that runs */
  readonly program?: string;
  /** The thread says nothing that the agent has not said within so many milliseconds. @default 5000 */
  readonly wordsLastMs?: number;
}

interface ThreadData {
  readonly controlPlaneUrl: string;
  readonly session: Response<"register">;
  readonly wordsLastMs: number;
}

type ToThread =
  /** What a heartbeat says from now on; `atOnce` if one is to leave now. */
  | { readonly kind: "words"; readonly id: number; readonly message: Beat["message"]; readonly atOnce: boolean }
  | { readonly kind: "leave" };

type FromThread =
  | { readonly kind: "answered"; readonly id: number; readonly answer: Response<"heartbeat"> }
  | { readonly kind: "warning"; readonly message: string; readonly fields: Fields }
  | { readonly kind: "status"; readonly line: string }
  | { readonly kind: "turn"; readonly waitMs: number }
  | { readonly kind: "over"; readonly end: HeartbeatsEnd };

/** How often the agent says anew what heartbeats are to say; a lease counts from then. */
const SPEAK_MS = 250;
/** Words whose heartbeat may still be answered; more than are said while one is under way. */
const KEPT = 200;
const WORDS_LAST_MS = 5_000;

/**
 * Sends heartbeats from a thread of their own, which leave in time while the agent's loop has much to do. The thread knows the
 * session's token and when the next heartbeat is due, and nothing else: what it says, it was told a moment ago, and every
 * answer is the agent's to act upon. The lease counts from when the words were said, so that a loop that stands still renews
 * none, and a thread that hears nothing new falls silent.
 */
export function heartbeatsInThread({
  controlPlaneUrl,
  // The link may be turned while the agent runs; its threads are of the version that it is.
  program = realpathSync(process.argv[1] ?? ""),
  wordsLastMs = WORDS_LAST_MS,
}: HeartbeatThreadProps): SendHeartbeats {
  return async (session, ports, leaving) => {
    const data: ThreadData = { controlPlaneUrl, session, wordsLastMs };
    const thread = new Worker(program, { workerData: data });
    const say = (message: ToThread) => thread.postMessage(message);
    const spoken = new Map<number, Beat>();
    const over = new AbortController();
    const ended = new Promise<HeartbeatsEnd>((resolve) => {
      let answered = false;
      thread.on("message", (message: FromThread) => {
        if (message.kind === "answered") {
          answered = true;
          spoken.get(message.id)?.answered(message.answer);
        } else if (message.kind === "warning") ports.log.warn(message.message, message.fields);
        else if (message.kind === "status") void ports.status(message.line);
        else if (message.kind === "turn") ports.turn(message.waitMs);
        else resolve(message.end);
      });
      thread.once("error", (error) => ports.log.warn("the thread of the heartbeats failed", { reason: reason(error) }));
      thread.once("exit", () => resolve({ answered, closed: false }));
    });
    void ended.then(() => over.abort());
    const leave = () => say({ kind: "leave" });
    if (leaving.aborted) leave();
    else leaving.addEventListener("abort", leave, { signal: over.signal });

    let atOnce = false;
    for (let id = 0; !over.signal.aborted; id++) {
      const beat = await ports.beat();
      if (!beat) break;
      spoken.set(id, beat);
      spoken.delete(id - KEPT);
      say({ kind: "words", id, message: beat.message, atOnce });
      atOnce = await ports.sleep(SPEAK_MS, over.signal);
    }
    const end = await ended;
    await thread.terminate();
    return end;
  };
}

/** Before the agent's other threads, too: on Linux niceness is a thread's own, see setpriority(2). Few but root may. */
function comeFirst(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGH);
  } catch {
    // Like everyone else.
  }
}

/** The thread's own part. */
export async function beatInThread(): Promise<void> {
  comeFirst();
  const { controlPlaneUrl, session, wordsLastMs } = workerData as ThreadData;
  const say = (message: FromThread) => parentPort?.postMessage(message);
  const leaving = new AbortController();
  const beats = new Nap();
  const hearing = new Nap();
  let words: Extract<ToThread, { kind: "words" }> | undefined;
  let heardAt = Number.NEGATIVE_INFINITY;
  parentPort?.on("message", (message: ToThread) => {
    if (message.kind === "leave") return leaving.abort();
    words = message;
    heardAt = performance.now();
    hearing.wake();
    if (message.atOnce) beats.wake();
  });

  const beat = async (): Promise<Beat | undefined> => {
    while (!leaving.signal.aborted) {
      if (words && performance.now() - heardAt <= wordsLastMs) {
        const { id, message } = words;
        return { message, answered: (answer) => say({ kind: "answered", id, answer }) };
      }
      await hearing.sleep(wordsLastMs, leaving.signal);
    }
    return undefined;
  };
  const end = await sendHeartbeats(
    session,
    {
      beat,
      controlPlane: controlPlaneClient(controlPlaneUrl),
      log: { warn: (message, fields = {}) => say({ kind: "warning", message, fields }) },
      sleep: (delayMs, signal) => beats.sleep(delayMs, signal),
      turn: (waitMs) => say({ kind: "turn", waitMs }),
      random: Math.random,
      now: () => performance.now(),
      status: async (line) => say({ kind: "status", line }),
    },
    leaving.signal,
  );
  say({ kind: "over", end });
}
