import type { Aws } from "../host/aws";
import { type Log, reason } from "../host/log";

/** Keeps the group from choosing this instance when it scales in. */
export interface ScaleInProtection {
  /** Resolves with whether the instance is protected now. Once dropped for good it is not raised again. */
  raise(): Promise<boolean>;
  /** From now on the group may take the instance. */
  drop(): Promise<void>;
}

/**
 * Calls once per change of state. What fails is logged and tried again with the next wish: without protection no job is taken.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceProtection.html
 */
export function scaleInProtection(aws: Aws, groupName: string, instanceId: string, log: Log): ScaleInProtection {
  let held: boolean | undefined;
  let line: Promise<unknown> = Promise.resolve();
  const set = (wanted: boolean): Promise<boolean> => {
    const done = line.then(async () => {
      if (held === wanted) return true;
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
        log.warn("scale-in protection not changed", { wanted, reason: reason(error) });
        return false;
      }
    });
    line = done;
    return done;
  };
  return {
    raise: () => set(true),
    drop: async () => void (await set(false)),
  };
}
