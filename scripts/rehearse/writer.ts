import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../emulator/child";
import type { Writer } from "./scenario/scenario";
import type { Check } from "./story/happening";
import type { Story } from "./story/story";

/** Writes once, and says whether it was acknowledged. @param number of the write, from 1 */
export type Write = (number: number) => Promise<boolean>;

/** In a writer's command: the number of the write. */
const NUMBER = "HOLDFAST_WRITE";

/** A write by a program of its own: acknowledged where that ends with 0. */
export const commandWrite =
  ({ command: [program = "", ...args] }: Writer, signal: AbortSignal): Write =>
  async (number) => {
    const env = { ...process.env, [NUMBER]: String(number) };
    return (await run(program, args, { signal, env }).catch(() => undefined))?.code === 0;
  };

/**
 * Writes until the signal comes, one after the other, and tells of every time without an acknowledged write that was longer than
 * two turns.
 *
 * @returns the numbers of the writes that were acknowledged
 */
export async function keepWriting(
  write: Write,
  everyMs: number,
  story: Story,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const acknowledged: number[] = [];
  let acknowledgedMs: number | undefined;
  for (let number = 1; !signal.aborted; number++) {
    if (await write(number)) {
      acknowledged.push(number);
      const gapMs = acknowledgedMs === undefined ? 0 : story.elapsedMs - acknowledgedMs;
      if (gapMs > 2 * everyMs) story.tell({ kind: "gap", gapMs, text: `no write was acknowledged for ${gapMs} ms` });
      acknowledgedMs = story.elapsedMs;
    }
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
  return acknowledged;
}

/** Whether everything that was acknowledged is there: a program prints the number of every write that it finds, one a line. */
export async function readBack(
  [program = "", ...args]: readonly string[],
  acknowledged: readonly number[],
  signal: AbortSignal,
): Promise<Check> {
  if (acknowledged.length === 0) return { ok: false, text: "no write was acknowledged" };
  const { code, stdout, stderr } = await run(program, args, { signal });
  if (code !== 0) return { ok: false, text: `${program} ended with ${code}: ${stderr.trim().slice(-LAST_WORDS)}` };
  const there = new Set(stdout.split("\n").map((line) => line.trim()));
  const lost = acknowledged.filter((number) => !there.has(String(number)));
  const count = `${acknowledged.length} acknowledged writes`;
  if (lost.length === 0) return { ok: true, text: `all ${count} are there` };
  const named = lost.slice(0, NAMED).join(", ");
  return { ok: false, text: `${lost.length} of ${count} are lost: ${named}${lost.length > NAMED ? ", …" : ""}` };
}

const LAST_WORDS = 500;
const NAMED = 10;
