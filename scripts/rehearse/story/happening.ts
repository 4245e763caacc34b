import { z } from "zod";

/** What a node is at a moment, as its group shows it and, where there is one, its application's check. */
export const NODE_STATES = ["down", "booting", "in service", "unwell", "leaving"] as const;
export type NodeState = (typeof NODE_STATES)[number];

const told = z.strictObject({
  /** Milliseconds since the rehearsal began. */
  atMs: z.number().nonnegative(),
  text: z.string(),
});

export const checkSchema = z.strictObject({ ok: z.boolean(), text: z.string() });

/** One line of NDJSON: what a rehearsal prints where there is no terminal. */
export const happeningSchema = z.discriminatedUnion("kind", [
  /** A chapter begins: plan, apply, boot, then one for each event; of a fleet in containers others beside them. */
  told.extend({ kind: z.literal("began"), chapter: z.number(), title: z.string(), node: z.string().optional() }),
  /** It is over, with what it was to show. */
  told.extend({ kind: z.literal("ended"), chapter: z.number(), checks: z.array(checkSchema) }),
  told.extend({
    kind: z.literal("node"),
    node: z.string(),
    state: z.enum(NODE_STATES),
    instance: z.string().optional(),
  }),
  /** A node that its group no longer wants: scaled in, or the surplus of a replacement. */
  told.extend({ kind: z.literal("gone"), node: z.string() }),
  /** How many instances of a group should serve, and how many do. */
  told.extend({ kind: z.literal("service"), group: z.string(), wanted: z.number(), serving: z.number() }),
  /** What the rolling update does to a node. */
  told.extend({ kind: z.literal("rolling"), node: z.string(), phase: z.string(), over: z.boolean() }),
  /** The jobs that a worker runs, by their names. */
  told.extend({ kind: z.literal("jobs"), node: z.string(), jobs: z.array(z.string()) }),
  /** A write was acknowledged after a time without one. */
  told.extend({ kind: z.literal("gap"), gapMs: z.number() }),
  told.extend({ kind: z.literal("notice"), node: z.string().optional() }),
]);

export type Happening = z.infer<typeof happeningSchema>;

/** The published schema of a line of NDJSON. */
export function happeningJsonSchema(): object {
  return z.toJSONSchema(
    happeningSchema.meta({
      title: "Line of a rehearsal",
      description: "What is printed off a terminal, and what story.ndjson holds.",
    }),
  );
}

/** Whether something that a chapter was to show was so. */
export type Check = z.infer<typeof checkSchema>;
