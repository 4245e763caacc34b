import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../emulator/child";
import type { Writer } from "./scenario/scenario";
import type { Story } from "./story/story";

/** Writes one after the other, and says whether it was acknowledged. */
export type Write = () => Promise<boolean>;

/** A write by a program of its own: acknowledged where that ends with 0. */
export const commandWrite =
  ({ command: [program = "", ...args] }: Writer, signal: AbortSignal): Write =>
  async () =>
    (await run(program, args, { signal }).catch(() => undefined))?.code === 0;

/** Writes until the signal comes, and tells of every time without an acknowledged write that was longer than two turns. */
export async function keepWriting(write: Write, everyMs: number, story: Story, signal: AbortSignal): Promise<void> {
  let acknowledgedMs: number | undefined;
  while (!signal.aborted) {
    if (await write()) {
      const gapMs = acknowledgedMs === undefined ? 0 : story.elapsedMs - acknowledgedMs;
      if (gapMs > 2 * everyMs) story.tell({ kind: "gap", gapMs, text: `no write was acknowledged for ${gapMs} ms` });
      acknowledgedMs = story.elapsedMs;
    }
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}
