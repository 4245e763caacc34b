import * as z from "zod/mini";
import type { Cloud, MUTATIONS } from "../cloud";

type Change = (typeof MUTATIONS)[number];

const name = z.string().check(z.minLength(1));
const READ = /^(identity|impairedZones|consoleOutput|firingAlarms|describe[A-Z]\w+)$/;

/**
 * All that a roller may change, with all that it may say: nothing that detaches by force, deletes, formats or skips the
 * operating system's shutdown, which loses what was not written yet.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachVolume.html
 */
const CHANGES: Readonly<Record<Change, z.ZodMiniType>> = {
  suspendLaunch: z.tuple([name]),
  resumeLaunch: z.tuple([name]),
  terminate: z.tuple([name, z.boolean()]),
  abandon: z.tuple([name, name, name]),
  heartbeat: z.tuple([name, name, name]),
  resize: z.tuple([name, z.strictObject({ min: z.int(), desired: z.int() })]),
  setTemplate: z.tuple([name, z.strictObject({ id: name, version: z.int() })]),
};

/** Why no roller may make this call, whatever the world is like; undefined where it may. */
export function forbidden(method: keyof Cloud, args: readonly unknown[]): string | undefined {
  if (READ.test(method)) return undefined;
  const permitted = Object.hasOwn(CHANGES, method) && CHANGES[method as Change].safeParse(args).success;
  return permitted ? undefined : `forbidden: ${method}(${JSON.stringify(args).slice(1, -1)})`;
}
