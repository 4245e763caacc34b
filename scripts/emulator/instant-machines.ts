import { setTimeout as sleep } from "node:timers/promises";
import { awsCalls } from "./aws-calls";
import { AwsError } from "./aws-error";
import type { AwsOfMachines, HookWait, LaunchedInstance, Machine, Machines } from "./machines";

type BootResult = "CONTINUE" | "ABANDON" | undefined;

/** What every guest does that boots in no time. */
export interface InstantGuest {
  /** The volumes that an instance attaches before it completes its launch hook. @default - none */
  readonly volumesOf?: (instance: LaunchedInstance) => readonly string[] | Promise<readonly string[]>;
  /** From the launch hook to its end. @default - at once */
  readonly bootMs?: () => number;
  /** How the launch hook ends; undefined leaves it waiting. @default - CONTINUE */
  readonly outcome?: (instance: LaunchedInstance) => BootResult | Promise<BootResult>;
}

/** Machines of no substance, for thousands: each attaches its volumes and completes its hooks, through the API, as a guest would. */
export interface InstantMachines extends Machines {
  /** Ends a machine as hardware would. */
  kill(instanceId: string): Promise<void>;
}

/** A volume that the instance before still holds comes free in the time that its shutdown takes. */
const ATTACH_RETRY_MS = 50;

export function instantMachines(aws: AwsOfMachines, guest: InstantGuest = {}): InstantMachines {
  const call = awsCalls(aws.url);
  const running = new Map<string, { readonly instance: LaunchedInstance; readonly machine: Machine }>();

  const attach = async (region: string, instance: LaunchedInstance, volumeId: string, index: number) => {
    const Device = `/dev/sd${String.fromCharCode("f".charCodeAt(0) + index)}`;
    while (running.has(instance.id)) {
      try {
        await call("ec2", region, "AttachVolume", { VolumeId: volumeId, InstanceId: instance.id, Device });
        return;
      } catch (error) {
        if (!(error instanceof AwsError) || error.code !== "VolumeInUse") throw error;
        await sleep(ATTACH_RETRY_MS, undefined, { ref: false });
      }
    }
  };

  const complete = async ({ region, instanceId, group, hooks }: HookWait, result: string) => {
    for (const hook of hooks) {
      await call("autoscaling", region, "CompleteLifecycleAction", {
        AutoScalingGroupName: group,
        LifecycleHookName: hook,
        InstanceId: instanceId,
        LifecycleActionResult: result,
      });
    }
  };

  const boot = async (wait: HookWait) => {
    const instance = running.get(wait.instanceId)?.instance;
    if (!instance) return;
    const volumeIds = (await guest.volumesOf?.(instance)) ?? [];
    for (const [index, volumeId] of volumeIds.entries()) {
      await attach(wait.region, instance, volumeId, index);
    }
    await sleep(guest.bootMs?.() ?? 0, undefined, { ref: false });
    const result = guest.outcome ? await guest.outcome(instance) : "CONTINUE";
    if (running.has(instance.id) && result !== undefined) await complete(wait, result);
  };

  aws.onWait((wait) => {
    const done = wait.transition === "launching" ? boot(wait) : complete(wait, "CONTINUE");
    // A wait that was ended by someone else, or an emulated AWS that was stopped, is nothing to a guest.
    done.catch(() => undefined);
  });

  return {
    start: async (instance) => {
      let end = () => {};
      const ended = new Promise<void>((resolve) => {
        end = resolve;
      });
      const stop = async () => {
        running.delete(instance.id);
        end();
      };
      const nothing = async () => {};
      const machine: Machine = {
        ended,
        shutdown: stop,
        kill: stop,
        reboot: nothing,
        attach: nothing,
        detach: nothing,
        console: async () => `${instance.hostname} has booted\n`,
        exec: async () => {
          throw new Error("there is nothing to run a command in: these machines are instant");
        },
      };
      running.set(instance.id, { instance, machine });
      return machine;
    },
    createVolume: async () => {},
    growVolume: async () => {},
    deleteVolume: async () => {},
    kill: async (instanceId) => running.get(instanceId)?.machine.kill(),
    stop: async () => {
      for (const { machine } of [...running.values()]) await machine.kill();
    },
  };
}
