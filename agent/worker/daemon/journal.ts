import { spawn } from "node:child_process";
import { once } from "node:events";
import { run } from "../../host/child";
import { sleep } from "../../host/waiting";

export interface JournalReading {
  /** Whose units' output is read. */
  readonly slice: string;
  /** Of the last entry that is not wanted. @default - all since the machine was booted */
  readonly cursor?: string | undefined;
  /** What is said for a moment after it is read, too. */
  readonly ended: AbortSignal;
  /** @default "journalctl" */
  readonly journalctl?: string | undefined;
}

export interface JournalEntry {
  readonly cursor: string;
  readonly time: Date;
  readonly unit: string;
  readonly text: string;
}

/** Between two reads: what is written faster waits in the journal, and the agent's other work does not. */
const PAUSE_MS = 100;
/** Of one read. Node.js itself brings up to twice as many bytes from Node 22 on. */
const MOST_BYTES = 65_536;
/** What daemons say last reaches the journal a moment after they have ended. */
const LAST_WORDS_MS = 1_000;
const REMEMBERED_ERROR = 1_000;
const LOOK_MS = 250;
/** How long systemd's word on the end of a unit's process is waited for: it says none of a status of 0. */
const END_WORD_MS = 2_000;
const READ_TIMEOUT_MS = 10_000;
/** What a journal has of systemd's word on the end of a unit's process (SD_MESSAGE_UNIT_PROCESS_EXIT of sd-messages.h). */
export const matchesOfEnd = (unit: string) => ["_PID=1", `UNIT=${unit}`, "MESSAGE_ID=98e322203f7a4ed290d09fe03c09fe15"];

/**
 * Follows the journal, see journalctl(1), and gives its entries in parts.
 *
 * @throws Error when journalctl cannot be started or ends before it is told to.
 */
export async function* followJournal(reading: JournalReading): AsyncGenerator<readonly JournalEntry[]> {
  const { slice, cursor, ended, journalctl = "journalctl" } = reading;
  const from = cursor ? `--after-cursor=${cursor}` : "--boot";
  const fields = "--output-fields=MESSAGE,_SYSTEMD_UNIT";
  const wanted = ["--follow", "--no-tail", "--all", "--output=json", fields, from, `_SYSTEMD_SLICE=${slice}`];
  const child = spawn(journalctl, wanted, { stdio: ["ignore", "pipe", "pipe"] });
  const closed = once(child, "close");
  closed.catch(() => {});
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-REMEMBERED_ERROR);
  });
  let stopping: NodeJS.Timeout | undefined;
  const stop = () => {
    stopping = setTimeout(() => child.kill("SIGKILL"), LAST_WORDS_MS);
  };
  if (ended.aborted) stop();
  else ended.addEventListener("abort", stop);
  try {
    let rest: Buffer = Buffer.alloc(0);
    for await (const part of inParts(child.stdout)) {
      const lines = Buffer.concat([rest, part]);
      const end = lines.lastIndexOf("\n") + 1;
      rest = lines.subarray(end);
      if (end > 0) yield lines.toString("utf8", 0, end).trimEnd().split("\n").map(entryOf);
      await sleep(PAUSE_MS, ended);
    }
    const [status, signal] = await closed;
    if (!ended.aborted) throw new Error(`journalctl ended with ${status ?? signal}: ${complaint.trim()}`);
  } finally {
    ended.removeEventListener("abort", stop);
    clearTimeout(stopping);
    child.kill("SIGKILL");
  }
}

async function* inParts(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of stream) {
    for (let at = 0; at < chunk.length; at += MOST_BYTES) yield chunk.subarray(at, at + MOST_BYTES);
  }
}

/**
 * The last lines of a unit whose process has ended, oldest first, with systemd's word on that end. What it said last, and that word,
 * come to the journal a moment later and in no order: the journal is read until it has the word and nothing more comes, or
 * for two seconds, and a word that came before all of these lines is put last. None where it cannot be read.
 */
export async function lastLinesOf(unit: string, count: number, journalctl = "journalctl"): Promise<readonly string[]> {
  const options = ["--quiet", "--all", "--output=json", "--output-fields=MESSAGE"];
  const read = async (lines: number, ...matches: string[]) => {
    const args = [...options, `--lines=${lines}`, ...matches];
    return await run(journalctl, args, { timeoutMs: READ_TIMEOUT_MS }).catch(() => "");
  };
  const readEnd = () => read(1, ...matchesOfEnd(unit));
  const deadline = performance.now() + END_WORD_MS;
  let [end, last, isWhole] = ["", await read(count, `--unit=${unit}`), false];
  while (!isWhole && performance.now() < deadline) {
    await sleep(LOOK_MS);
    end ||= await readEnd();
    const next = await read(count, `--unit=${unit}`);
    isWhole = next === last && end !== "";
    last = next || last;
  }
  const lines = linesOf(last).slice(-count);
  const unsaid = linesOf(end).filter((word) => !lines.includes(word));
  return [...lines, ...unsaid].slice(-count);
}

const linesOf = (entries: string) =>
  entries
    .split("\n")
    .filter(Boolean)
    .flatMap((entry) => entryOf(entry).text.split("\n"))
    .filter((line) => line !== "");

/** https://systemd.io/JOURNAL_EXPORT_FORMATS/#journal-json-format */
function entryOf(line: string): JournalEntry {
  const { __CURSOR, __REALTIME_TIMESTAMP, _SYSTEMD_UNIT = "", MESSAGE } = JSON.parse(line);
  return {
    cursor: __CURSOR,
    time: new Date(Number(__REALTIME_TIMESTAMP) / 1_000),
    unit: _SYSTEMD_UNIT,
    // Bytes where it is no printable text, as with colours.
    text: typeof MESSAGE === "string" ? MESSAGE : Buffer.from(MESSAGE ?? []).toString("utf8"),
  };
}
