import { startEmulatedAws } from "../../emulator/emulated-aws";
import { instantMachines } from "../../emulator/instant-machines";
import type { LaunchedInstance, Machine } from "../../emulator/machines";
import { rememberingMachines } from "../../emulator/remembering-machines";
import type { Stage } from "./stage";
import { volumesOfUserData } from "./volumes-of-user-data";

/** Long enough to be seen in a picture. */
const BOOT_MS = 1_000;

/** A stage whose instances boot no operating system: groups, hooks, interfaces and volumes behave, nothing runs. */
export async function openInstantStage(): Promise<Stage> {
  const known = new Map<string, Machine>();
  const slow = new Map<string, number>();
  let failing = false;

  const aws = await startEmulatedAws({
    machines: (it) => {
      const machines = instantMachines(it, {
        volumesOf: async ({ id }: LaunchedInstance) => {
          const volumes = volumesOfUserData((await it.facts({ instanceId: id }))?.userData);
          const wait = Math.max(0, ...volumes.map((volumeId) => slow.get(volumeId) ?? 0));
          await new Promise((resolve) => setTimeout(resolve, wait).unref());
          return volumes;
        },
        bootMs: () => BOOT_MS,
        outcome: () => (failing ? "ABANDON" : "CONTINUE"),
      });
      return rememberingMachines(machines, known);
    },
  });

  return {
    machines: "none",
    aws,
    network: undefined,
    lab: undefined,
    machineOf: (instanceId) => known.get(instanceId),
    interrupt: (instanceId, at) => aws.notify(instanceId, { spotInterruptionAt: at }),
    slowBoots: (volumeIds, ms) => {
      for (const volumeId of volumeIds) slow.set(volumeId, ms);
      return () => {
        for (const volumeId of volumeIds) slow.delete(volumeId);
      };
    },
    failBoots: () => {
      failing = true;
      return () => {
        failing = false;
      };
    },
    inside: undefined,
    close: () => aws.stop(),
  };
}
