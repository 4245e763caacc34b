import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import * as mini from "zod/mini";
import { parseDuration } from "../../rolling-update/cli/duration";
import { inWords } from "../../rolling-update/schema-messages";
import { type SettingsInput, settingsSchema } from "../../rolling-update/settings";
import { WrongUse } from "../wrong-use";
import { ANY_NODE, EVENT_FORMS, parseEvent, type RehearsalEvent } from "./event";

/** Something that writes to the cluster all the while. */
export interface Writer {
  /** A program and its arguments; each run that ends with 0 is an acknowledged write. Its number is in HOLDFAST_WRITE. */
  readonly command: readonly string[];
  readonly everyMs: number;
  /** A program that prints the number of every write that is there, one a line. */
  readonly read: readonly string[] | undefined;
}

/** What happens once everything is healthy. */
export interface Scenario {
  readonly events: readonly RehearsalEvent[];
  /** How long anything may take to be well: the first boot, and each event. */
  readonly deadlineMs: number;
  /** The rolling update's settings, besides those that suit the machines; its checks are asked all the while. */
  readonly roll: SettingsInput;
  readonly writer: Writer | undefined;
}

const DEADLINE_MS = 600_000;

export const DEFAULT_SCENARIO: Scenario = {
  events: [`lose ${ANY_NODE}`, "roll"].map((text) => parseEvent(text, "the default scenario")),
  deadlineMs: DEADLINE_MS,
  roll: {},
  writer: undefined,
};

const duration = z.string().transform((text, context) => {
  try {
    return parseDuration(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
    return z.NEVER;
  }
});

const event = z.string().transform((text, context) => {
  try {
    return parseEvent(text, "event");
  } catch (error) {
    const { message, next } = error as WrongUse;
    context.addIssue({ code: "custom", message: `${message.replace(/^event: /, "")}; ${next}` });
    return z.NEVER;
  }
});

const program = z.array(z.string().min(1)).min(1);

const scenarioSchema = z.strictObject({
  events: z.array(event).min(1, `should have an event; there are ${Object.keys(EVENT_FORMS).join(", ")}`),
  deadline: duration.optional(),
  roll: mini.optional(mini.partial(settingsSchema)),
  writer: z.strictObject({ command: program, every: duration.default(200), read: program.optional() }).optional(),
});

/** @throws WrongUse naming file, field and what it should be. */
export function readScenario(file: string): Scenario {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new WrongUse(`--scenario ${file}: ${(error as Error).message}`, "name a YAML file");
  }
  return parseScenario(text, file);
}

/** @throws WrongUse naming every field that is wrong and what it should be. */
export function parseScenario(text: string, file: string): Scenario {
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    throw new WrongUse(`${file}: ${(error as Error).message.split("\n")[0]}`, "write it as YAML");
  }
  const parsed = scenarioSchema.safeParse(document, { error: inWords });
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${file}: ${fieldOf(path)}${message}`);
    throw new WrongUse(problems.join("\n"), "a scenario has events, and may have deadline, roll and writer");
  }
  const { events, deadline, roll, writer } = parsed.data;
  return {
    events,
    deadlineMs: deadline ?? DEADLINE_MS,
    // What is not written is not there: the schema's defaults are the rolling update's to give.
    roll: roll === undefined ? {} : (document as { roll: SettingsInput }).roll,
    writer: writer && { command: writer.command, everyMs: writer.every, read: writer.read },
  };
}

function fieldOf(path: readonly PropertyKey[]): string {
  const field = path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  return field === "" ? "" : `${field.replace(/^\./, "")}: `;
}
