import { stripVTControlCharacters } from "node:util";
import { TerraformFailed } from "../emulator/terraform";
import type { Check } from "./story/happening";
import type { Story } from "./story/story";
import { WrongUse } from "./wrong-use";

/** Tells what is under way, and how it ended. */
export class Chapters {
  #count = 0;

  constructor(private readonly story: Story) {}

  /**
   * @param work gives what it made, beside what it showed
   * @returns what it made, where it showed what it was to show
   * @throws WrongUse, and where it was interrupted; any other failure is one of its checks
   */
  async tell<T>(title: string, work: () => Promise<Told<T>>, node?: string): Promise<T | undefined> {
    const chapter = this.#count++;
    this.story.tell({ kind: "began", chapter, title, text: title, ...(node === undefined ? {} : { node }) });
    const { made, checks } = await work().catch((error: Error): Told<undefined> => {
      if (error.name === "AbortError" || error instanceof WrongUse) throw error;
      return { made: undefined, checks: [{ ok: false, text: reasonOf(error) }] };
    });
    const ok = checks.every((check) => check.ok);
    this.story.tell({ kind: "ended", chapter, checks: [...checks], text: `${title}: ${ok ? "well" : "failed"}` });
    return ok ? made : undefined;
  }
}

/** What a chapter made, and what it showed. */
export interface Told<T> {
  readonly made: T;
  readonly checks: readonly Check[];
}

/** What Terraform printed as an error, without its frame; of other failures all. */
function reasonOf(error: Error): string {
  if (!(error instanceof TerraformFailed)) return error.message;
  const lines = stripVTControlCharacters(error.message)
    .split("\n")
    .map((line) => line.replace(/^[\s│╷╵]+/, "").trimEnd())
    .filter((line) => line !== "");
  const from = lines.findIndex((line) => line.startsWith("Error:"));
  return lines.slice(Math.max(0, from), Math.max(0, from) + 12).join(" ");
}
