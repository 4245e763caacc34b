import { openContainerCloud } from "../cloud/container-cloud";
import { containerName } from "../machines/container-machines";
import { command } from "../machines/host-command";
import { CLUSTER_PACKAGES, instanceImage } from "../machines/image/image";
import { podman } from "../machines/podman";
import type { Stage } from "./stage";

const isKnown = (name: string): name is keyof typeof CLUSTER_PACKAGES => Object.hasOwn(CLUSTER_PACKAGES, name);

/** Debian's packages that a deployment's nodes want: those that are named, else those of the software that it is named after. */
export const packagesFor = (deployment: string, named: readonly string[] | undefined): readonly string[] =>
  named ?? (isKnown(deployment) ? CLUSTER_PACKAGES[deployment] : []);

/**
 * A stage whose instances are containers with real systemd and cloud-init: what the launch template holds boots.
 *
 * @throws Error where this machine does not allow it, or has no free network
 */
export async function openContainerStage(packages: readonly string[]): Promise<Stage> {
  const cloud = await openContainerCloud({ image: await instanceImage(packages) });
  const { aws, lab, network } = cloud;
  const nameOf = (instanceId: string) => containerName(lab, instanceId);

  return {
    machines: "container",
    aws,
    network,
    machineOf: (instanceId) => cloud.machineOf(instanceId),
    interrupt: (instanceId, at) => cloud.notify(instanceId, { spotInterruptionAt: at }),
    slowBoots: (volumeIds, ms) => {
      const before = aws.faults.attachingMs;
      aws.faults.attachingMs = (volumeId) => (volumeIds.includes(volumeId) ? ms : before(volumeId));
      return () => {
        aws.faults.attachingMs = before;
      };
    },
    failBoots: undefined,
    inside: {
      part: async (instanceId, addresses) => {
        const pid = await podman("inspect", "--format={{.State.Pid}}", nameOf(instanceId));
        const rules = (action: string) =>
          Promise.all(
            addresses.flatMap((address) => [
              command("nsenter", "-t", pid, "-n", "iptables", "-w", action, "INPUT", "-s", address, "-j", "DROP"),
              command("nsenter", "-t", pid, "-n", "iptables", "-w", action, "OUTPUT", "-d", address, "-j", "DROP"),
            ]),
          );
        await rules("-A");
        return async () => {
          await rules("-D");
        };
      },
      shell: (instanceId) => ["podman", "--runtime=runc", "exec", "-it", nameOf(instanceId), "/bin/bash", "-l"],
    },
    close: () => cloud.close(),
  };
}
