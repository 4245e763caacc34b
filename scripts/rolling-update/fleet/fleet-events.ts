import * as z from "zod/mini";
import { REFRESH_STATUSES } from "./instance-refresh";

/** One line of NDJSON: what following a pool prints where there is no terminal. */
export const fleetEventSchema = z.strictObject({
  /** ISO 8601 */
  time: z.iso.datetime(),
  group: z.string(),
  refresh: z.string(),
  kind: z.enum(["following", "progress", "waiting", "finished"]),
  status: z.enum(REFRESH_STATUSES),
  percent: z.number(),
  /** Instances still to replace. */
  remaining: z.number(),
  /** Since the refresh was started. */
  elapsedMs: z.number(),
  reason: z.optional(z.string()),
});
export type FleetEvent = z.infer<typeof fleetEventSchema>;

/** The published JSON schema of {@link fleetEventSchema}. */
export function fleetEventJsonSchema(): unknown {
  return z.toJSONSchema(fleetEventSchema);
}
