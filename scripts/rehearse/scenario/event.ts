import { closest, distance } from "fastest-levenshtein";
import { parseDuration } from "../../rolling-update/cli/duration";
import { WrongUse } from "../wrong-use";

interface Form {
  readonly takesNode: boolean;
  /** How long it lasts unless it is said; undefined where it lasts as long as it takes. */
  readonly forMs?: number;
  /** What happens, and what is to be shown. */
  readonly summary: string;
}

/** What can happen in a rehearsal. */
export const EVENT_FORMS = {
  lose: { takesNode: true, summary: "its machine loses power; another takes over its address and data" },
  roll: {
    takesNode: false,
    summary: "a release: the rolling update replaces every node; pools get an instance refresh",
  },
  reboot: { takesNode: true, summary: "its operating system restarts; the instance stays" },
  "slow-boot": { takesNode: true, forMs: 20_000, summary: "it is lost, and its volume stays attaching for a while" },
  "bad-config": {
    takesNode: false,
    summary: "a release that cannot boot stops at the first node; the next one heals it",
  },
  "spot-notice": { takesNode: true, forMs: 120_000, summary: "it is told that EC2 takes it back, and then EC2 does" },
  partition: { takesNode: true, forMs: 20_000, summary: "it cannot reach the other nodes for a while, nor they it" },
  "fill-disk": { takesNode: true, forMs: 20_000, summary: "its data volume is full for a while" },
  wait: { takesNode: false, forMs: 5_000, summary: "nothing happens for a while" },
} as const satisfies Record<string, Form>;

export type EventName = keyof typeof EVENT_FORMS;

/** Stands for the worker with the most jobs, or the last of the nodes. */
export const ANY_NODE = "any";

/** One event of a scenario. */
export interface RehearsalEvent {
  readonly name: EventName;
  /** A node's name, or {@link ANY_NODE}; undefined for events of the whole deployment. */
  readonly node: string | undefined;
  /** Undefined where it lasts as long as it takes. */
  readonly forMs: number | undefined;
  /** As it was written. */
  readonly text: string;
}

/** `name [NODE] [for TIME]`, as a person writes it. */
export const formText = (name: EventName): string => {
  const form: Form = EVENT_FORMS[name];
  return `${name}${form.takesNode ? " NODE" : ""}${form.forMs === undefined ? "" : " [for TIME]"}`;
};

/**
 * Reads one event, such as `lose 01` or `slow-boot 02 for 30s`.
 *
 * @param where what the text stands in, for the message: `--event`, `events[1]`
 * @throws WrongUse naming the word and what may stand there.
 */
export function parseEvent(text: string, where: string): RehearsalEvent {
  const [name = "", ...rest] = text.trim().split(/\s+/);
  if (!isEventName(name)) {
    const names = Object.keys(EVENT_FORMS);
    const near = closest(name, names);
    const meant = distance(name, near) <= 3 ? `did you mean ${near}?` : `there are ${names.join(", ")}`;
    throw new WrongUse(`${where}: got "${text}"; there is no event ${name || "without a name"}`, meant);
  }
  const form: Form = EVENT_FORMS[name];
  const refuse = (what: string): never => {
    throw new WrongUse(`${where}: got "${text}"; ${what}`, `write ${formText(name)}, such as ${exampleOf(name)}`);
  };
  const node = form.takesNode ? (rest.shift() ?? refuse(`${name} should name a node, or ${ANY_NODE}`)) : undefined;
  if (node === "for") refuse(`${name} should name a node before for`);
  if (rest.length === 0) return { name, node, forMs: form.forMs, text: text.trim() };
  const [word, time, ...more] = rest;
  if (word !== "for" || time === undefined || more.length > 0 || form.forMs === undefined) {
    return refuse(`"${rest.join(" ")}" should not be there`);
  }
  try {
    return { name, node, forMs: parseDuration(time), text: text.trim() };
  } catch (error) {
    return refuse(`for: ${(error as Error).message}`);
  }
}

function exampleOf(name: EventName): string {
  const form: Form = EVENT_FORMS[name];
  return `"${name}${form.takesNode ? " 01" : ""}${form.forMs === undefined ? "" : ` for ${form.forMs / 1_000}s`}"`;
}

const isEventName = (name: string): name is EventName => Object.hasOwn(EVENT_FORMS, name);
