import * as z from "zod";
import { UUID } from "../../control-plane/protocol/limits";

const count = z.int().min(0);
const ref = { jobId: z.string().regex(UUID), fence: z.int().min(1) };
const variable = z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/);
const value = z.string().refine((text) => !text.includes("\0"), "holds a NUL");

const Lease = z.strictObject({
  sentAt: z.strictObject({ monotonicMs: z.number(), wallMs: z.number() }),
  leaseMs: count,
});

/**
 * What the agent may ask of its guard, one request per connection. The guard runs as root and the agent does not: nothing here
 * names a program, a path or a property of a unit. The guard is of the boot's version for good: an upgraded agent may ask more than it
 * knows, as a kind of its own, and must do without an answer; the kinds below stay as they are.
 */
export const GuardRequest = z.discriminatedUnion("kind", [
  /** Daemons may run until its end. */
  z.strictObject({ kind: z.literal("lease"), lease: Lease }),
  /** Answered once the daemon's program runs. */
  z.strictObject({
    kind: z.literal("start"),
    ...ref,
    lease: Lease,
    /** Whether the daemon ends with the lease. */
    bound: z.boolean(),
    variables: z.record(variable, value),
    /** Contents of files, by the variable that is to hold the path. */
    files: z.record(variable, value),
    limits: z.strictObject({ memoryBytes: z.int().min(1), cpuPercent: z.int().min(1) }),
  }),
  z.strictObject({ kind: z.literal("signal"), ...ref, signal: z.enum(["SIGTERM", "SIGKILL"]) }),
  /**
   * Answered once every start that was asked for before is over, with what no log may show of the daemons that this life of the
   * guard has started.
   */
  z.strictObject({ kind: z.literal("secrets") }),
  /** Ends what is left of the unit, once a start of it that was asked for before is over; afterwards systemd knows nothing of it. */
  z.strictObject({ kind: z.literal("forget"), ...ref }),
]);

export type GuardRequest = z.infer<typeof GuardRequest>;

/** A request as the guard takes it up. */
export type StartRequest = Extract<GuardRequest, { kind: "start" }>;

/** How a guard of an earlier version begins its answer to what it does not know. */
export const UNKNOWN_REQUEST = "the request is not usable";

/** By unit. */
export type DaemonSecrets = Readonly<Record<string, readonly string[]>>;

/** `error` says why nothing was done. */
export interface GuardAnswer {
  readonly error?: string;
  readonly secrets?: DaemonSecrets;
}

/** Room for the variables of a job with 10,000 tables. */
export const MAX_REQUEST_BYTES = 4 * 1_024 * 1_024;
