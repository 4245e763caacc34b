import * as z from "zod/mini";

/** One line of NDJSON: what `roll run` prints where there is no terminal. */
export const eventSchema = z.strictObject({
  /** ISO 8601 */
  time: z.iso.datetime(),
  cluster: z.string(),
  roll: z.string(),
  kind: z.enum(["started", "phase", "waiting", "action", "notice", "finished"]),
  node: z.optional(z.string()),
  instance: z.optional(z.string()),
  phase: z.optional(z.string()),
  /** Time in the phase for `waiting`, time of the phase that ended for `phase`, of the whole roll for `finished`. */
  elapsedMs: z.number(),
  reason: z.optional(z.string()),
  /** Expected time until the roll is over, once one node has been replaced. */
  etaMs: z.optional(z.number()),
  /** Per node and phase, on `finished`. */
  durations: z.optional(z.record(z.string(), z.record(z.string(), z.number()))),
});
export type RollEvent = z.infer<typeof eventSchema>;

/** The published JSON schema of {@link eventSchema}. */
export function eventJsonSchema(): unknown {
  return z.toJSONSchema(eventSchema);
}
