import { z } from "zod";
import { AwsError } from "../../emulator/aws-error";
import { type Faults, noFaults } from "../../emulator/faults";

/** A fault may hold for some things alone. */
const milliseconds = z.number().int().min(0).max(3_600_000);

export const faultSettingsSchema = z.strictObject({
  /** Actions that are answered with an error, such as `RequestLimitExceeded`, in a share of the calls. */
  refuse: z
    .array(
      z.strictObject({
        /** Such as `DescribeInstances`; every action without. */
        action: z.string().min(1).optional(),
        code: z.string().min(1).default("RequestLimitExceeded"),
        message: z.string().default("Request limit exceeded."),
        percent: z.number().min(1).max(100).default(100),
      }),
    )
    .default([]),
  /** EC2's reason not to start any instance, or those of one group. */
  noCapacity: z
    .strictObject({
      reason: z
        .string()
        .default("We currently do not have sufficient capacity in the Availability Zone you requested."),
      group: z.string().optional(),
    })
    .nullable()
    .default(null),
  /** Age of what descriptions show. */
  staleMs: milliseconds.default(0),
  /** What an instance takes to shut down beyond its machine. */
  shutdownMs: milliseconds.default(0),
  /** How long a volume stays `attaching`. */
  attachingMs: milliseconds.default(0),
});

/** What goes wrong in the emulated AWS of a rehearsal, as a person sets it: JSON. */
export type FaultSettings = z.output<typeof faultSettingsSchema>;

export const NO_FAULTS: FaultSettings = faultSettingsSchema.parse({});

/** Sets what goes wrong from now on; what is not given goes well again. @param random a number in [0, 1) */
export function setFaults(faults: Faults, settings: FaultSettings, random: () => number = Math.random): void {
  const { refuse, noCapacity, staleMs, shutdownMs, attachingMs } = settings;
  Object.assign(faults, noFaults(), {
    refuse: ({ action }) => {
      const rule = refuse.find((candidate) => candidate.action === undefined || candidate.action === action);
      if (rule === undefined || random() * 100 >= rule.percent) return undefined;
      return new AwsError(rule.code, rule.message, 503);
    },
    noCapacity: ({ group }) =>
      noCapacity !== null && (noCapacity.group === undefined || noCapacity.group === group)
        ? noCapacity.reason
        : undefined,
    staleMs: () => staleMs,
    shutdownMs: () => shutdownMs,
    attachingMs: () => attachingMs,
  } satisfies Faults);
}
