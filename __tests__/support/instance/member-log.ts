import { CommandFailed } from "../../../scripts/emulator/command-failed";
import type { Machine } from "../../../scripts/emulator/machines";

/** What a member, or systemd of it, has written down. */
export interface LogLine {
  readonly atMs: number;
  readonly text: string;
}

const JOURNAL = ["journalctl", "--no-tail", "--output=json", "--output-fields=MESSAGE"];

/** A unit's journal up to now. */
export async function journal(machine: Machine, unit: string): Promise<LogLine[]> {
  return lines(await machine.exec(...JOURNAL, "--no-pager", `--unit=${unit}`));
}

/** A unit's journal up to the end of the machine, which takes it with it. */
export async function wholeJournal(machine: Machine, unit: string): Promise<LogLine[]> {
  const output = await machine
    .exec(...JOURNAL, "--follow", `--unit=${unit}`)
    .catch((error: Error) => (error instanceof CommandFailed ? error.stdout : Promise.reject(error)));
  return lines(output);
}

/** The first line that says `what`. @throws Error with what is there, where none does. */
export function momentOf(log: readonly LogLine[], what: RegExp): number {
  const line = log.find(({ text }) => what.test(text));
  if (line === undefined) throw new Error(`no line says ${what}:\n${log.map(({ text }) => text).join("\n")}`);
  return line.atMs;
}

function lines(json: string): LogLine[] {
  return json.split("\n").flatMap((line) => {
    // The last one may be cut off with the machine.
    if (!line.startsWith("{") || !line.endsWith("}")) return [];
    const { __REALTIME_TIMESTAMP: microseconds, MESSAGE: text } = JSON.parse(line);
    return { atMs: Number(microseconds) / 1_000, text: String(text) };
  });
}
