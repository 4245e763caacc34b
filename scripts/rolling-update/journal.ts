import * as z from "zod/mini";
import { failureSchema, type Replacement, replacementSchema, templateSchema } from "./replacement";
import type { RollError } from "./roll-error";
import type { Outcome } from "./roll-ports";
import { settingsSchema } from "./settings";
import type { Store } from "./store";

const rollSchema = z.strictObject({
  id: z.string(),
  startedMs: z.number(),
  direction: z.enum(["forward", "rollback"]),
  state: z.enum(["running", "paused", "done", "failed", "aborted"]),
  /** As the roll was begun or resumed last; what a later run is not told otherwise. */
  settings: settingsSchema,
  forced: z.array(z.string()),
  /** The roll leaves all other nodes as they are. */
  only: z.optional(z.array(z.string())),
  /** By node id, what a rollback returns the nodes to: its own replacements no longer tell. */
  former: z.optional(z.record(z.string(), templateSchema)),
  /** An operator let the roll go on after its first node. */
  confirmedCanary: z.boolean(),
  /** Why it ended other than well, and at which node; gone once it goes on. */
  failure: z.optional(z.extend(failureSchema, { node: z.optional(z.string()) })),
});
/** A roll as a whole; its nodes are records of their own. */
export type RollRecord = z.infer<typeof rollSchema>;

const ROLL = "journal/roll";
const NODES = "journal/nodes/";

export interface Journal {
  readonly roll: RollRecord | undefined;
  /** By node id: the last replacement of each node that had one. */
  readonly replacements: ReadonlyMap<string, Replacement>;
}

export async function readJournal(store: Store): Promise<Journal> {
  const texts = await store.list("journal/");
  const roll = texts.get(ROLL);
  const replacements = new Map<string, Replacement>();
  for (const [key, text] of texts) {
    if (key.startsWith(NODES)) replacements.set(key.slice(NODES.length), replacementSchema.parse(JSON.parse(text)));
  }
  return { roll: roll === undefined ? undefined : rollFrom(JSON.parse(roll)), replacements };
}

/** Templates are written as `lt-0a1b2c3d:7`; earlier versions wrote them as they are. */
function rollFrom({ former, ...rest }: { readonly former?: Readonly<Record<string, unknown>> }): RollRecord {
  if (former === undefined) return rollSchema.parse(rest);
  const templates = Object.entries(former).map(([node, written]) => {
    if (typeof written !== "string") return [node, written];
    const [id, version] = written.split(":");
    return [node, { id, version: Number(version) }];
  });
  return rollSchema.parse({ ...rest, former: Object.fromEntries(templates) });
}

/** A parameter holds 4 KB: what many nodes return to is written as short as it goes, and which they are but once. */
export function writeRoll(store: Store, roll: RollRecord): Promise<void> {
  const { former, only, ...rest } = roll;
  const texts = Object.entries(former ?? {}).map(([node, { id, version }]) => [node, `${id}:${version}`]);
  return store.write(ROLL, JSON.stringify(former ? { ...rest, former: Object.fromEntries(texts) } : roll));
}

export function writeReplacement(store: Store, replacement: Replacement): Promise<void> {
  const { failure, ...rest } = replacement;
  return store.write(NODES + replacement.node, JSON.stringify(failure ? { ...rest, failure: short(failure) } : rest));
}

export function forgetReplacement(store: Store, node: string): Promise<void> {
  return store.remove(NODES + node);
}

/** The record of a roll whose run ended so. */
export function closed(roll: RollRecord, { status, error }: Pick<Outcome, "status" | "error">): RollRecord {
  const failure = error ? { failure: failureOf(error) } : {};
  switch (status) {
    case "handed over":
      return { ...roll, state: "paused", ...failure };
    case "rolled back":
      return { ...roll, state: "done", ...failure };
    default:
      return { ...roll, state: status, ...failure };
  }
}

/** A parameter holds 4 KB: of the reason the first line stays, which is the cloud's own and not what a node printed. */
const LONGEST_REASON = 500;

function short<T extends { readonly reason?: string | undefined }>(failure: T): T {
  const why = failure.reason?.split("\n", 1)[0]?.slice(0, LONGEST_REASON);
  return why === undefined ? failure : { ...failure, reason: why };
}

/** What is undefined is left out of the JSON that this becomes. */
function failureOf({ code, message, node, reason, next }: RollError): NonNullable<RollRecord["failure"]> {
  return short({ code, message, node, reason, next });
}
