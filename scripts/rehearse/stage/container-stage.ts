import { openContainerCloud } from "../cloud/container-cloud";
import { containerName } from "../machines/container-machines";
import { engineHere } from "../machines/engine-here";
import { command } from "../machines/host-command";
import { CLUSTER_PACKAGES, instanceImage } from "../machines/image/image";
import { WrongUse } from "../wrong-use";
import type { Stage } from "./stage";

const isKnown = (name: string): name is keyof typeof CLUSTER_PACKAGES => Object.hasOwn(CLUSTER_PACKAGES, name);

/** Debian's packages that a deployment's nodes want: those that are named, else those of the software that it is named after. */
export const packagesFor = (deployment: string, named: readonly string[] | undefined): readonly string[] =>
  named ?? (isKnown(deployment) ? CLUSTER_PACKAGES[deployment] : []);

/** What instances boot: an image that is there, by its name, or one that is made of Debian's packages. */
export type WantedImage = { readonly image: string } | { readonly packages: readonly string[] };

/** @throws WrongUse where there is no image of the name */
async function imageOf(wanted: WantedImage): Promise<string> {
  if ("packages" in wanted) return instanceImage(wanted.packages);
  const { name, hasImage } = engineHere();
  if (await hasImage(wanted.image)) return wanted.image;
  throw new WrongUse(
    `--image ${wanted.image}: ${name} has no such image`,
    `make it with ${name} build, or ${name} pull`,
  );
}

/**
 * A stage whose instances are containers with real systemd and cloud-init: what the launch template holds boots.
 *
 * @throws Error where this machine does not allow it, or has no free network; WrongUse where it lacks the image
 */
export async function openContainerStage(image: WantedImage): Promise<Stage> {
  const cloud = await openContainerCloud({ image: await imageOf(image) });
  const { aws, lab, network } = cloud;
  const engine = engineHere();
  const nameOf = (instanceId: string) => containerName(lab, instanceId);

  return {
    machines: "container",
    aws,
    network,
    lab,
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
        const pid = await engine.run("inspect", "--format={{.State.Pid}}", nameOf(instanceId));
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
      shell: (instanceId) => engine.shell(nameOf(instanceId)),
    },
    close: () => cloud.close(),
  };
}
