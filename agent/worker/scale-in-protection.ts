import type { Aws } from "../host/aws";
import { type Log, reason } from "../host/log";
import { sleep } from "../host/waiting";

/** Keeps the group from choosing this instance when it scales in. */
export interface ScaleInProtection {
  /** Resolves with whether the instance is protected now. */
  raise(): Promise<boolean>;
  /** For an instance without a job: resolves with whether the group lets its protection be changed, which it does of those in service alone. */
  isSettable(): Promise<boolean>;
  /** The group may take the instance, as long as nobody raises it. What fails is tried again with the next wish. */
  drop(): Promise<void>;
  /** The group shall take the instance: drops it however often that fails, until `signal`. */
  giveUp(signal: AbortSignal): Promise<void>;
}

/** Between two attempts to drop it: an instance that is not yet in service cannot be asked. */
const RETRY_MS = 30_000;
/** The same where jobs wait for the answer. */
const SOON_MS = 10_000;

/**
 * Calls once per change of state. What fails is logged and tried again with the next wish: without protection no job is taken.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceProtection.html
 */
export function scaleInProtection(aws: Aws, groupName: string, instanceId: string, log: Log): ScaleInProtection {
  // Unknown: an earlier life of the agent may have raised it.
  let held: boolean | undefined;
  let failedAt = Number.NEGATIVE_INFINITY;
  let line: Promise<unknown> = Promise.resolve();
  const set = (wanted: boolean, retryMs = RETRY_MS): Promise<boolean> => {
    const done = line.then(async () => {
      if (held === wanted) return true;
      if (!wanted && performance.now() - failedAt < retryMs) return false;
      try {
        await aws.call("autoscaling", "SetInstanceProtection", {
          AutoScalingGroupName: groupName,
          InstanceIds: [instanceId],
          ProtectedFromScaleIn: wanted,
        });
        held = wanted;
        log.info("scale-in protection changed", { protected: wanted });
        return true;
      } catch (error) {
        held = undefined;
        failedAt = performance.now();
        log.warn("scale-in protection not changed", { wanted, reason: reason(error) });
        return false;
      }
    });
    line = done;
    return done;
  };
  return {
    raise: () => set(true),
    isSettable: () => set(false, SOON_MS),
    drop: async () => void (await set(false)),
    giveUp: async (signal) => {
      while (!signal.aborted && !(await set(false))) {
        await sleep(Math.max(0, failedAt + RETRY_MS - performance.now()), signal);
      }
    },
  };
}
