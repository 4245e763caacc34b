import { systemClock } from "../clock";
import type { ManifestNode } from "../manifest";
import type { MemberProcess } from "./member-process";
import type { SimulatedRegion } from "./simulated-region";

const POLL_MS = 50;

/**
 * Real members on the instances of simulated groups: an instance that boots attaches the node's volumes, starts the member
 * and completes its hook when that has joined; one that terminates stops it.
 */
export class ProcessGuests {
  constructor(
    private readonly region: SimulatedRegion,
    private readonly members: ReadonlyMap<string, MemberProcess>,
    private readonly hasJoined: (node: ManifestNode) => Promise<boolean>,
  ) {
    const { autoScaling, ec2 } = region;
    autoScaling.onBoot = (instanceId, groupName) => this.#boot(instanceId, groupName);
    autoScaling.onTerminating = (instanceId) => void this.#member(instanceId)?.stop();
    const onTerminated = ec2.onTerminated;
    ec2.onTerminated = (instanceId) => {
      void this.#member(instanceId)?.kill();
      onTerminated(instanceId);
    };
  }

  #member(instanceId: string): MemberProcess | undefined {
    return this.members.get(this.region.nodeOf(instanceId) ?? "");
  }

  #boot(instanceId: string, groupName: string): void {
    const node = this.region.manifest.nodes.find(({ group }) => group === groupName);
    if (node) void this.#join(node, instanceId);
  }

  async #join(node: ManifestNode, instanceId: string): Promise<void> {
    const { ec2, autoScaling } = this.region;
    const isRunning = () => ec2.state(instanceId) === "running";
    const isAttached = (id: string) =>
      ec2.volumes.get(id)?.current.instanceId === instanceId || ec2.attach(id, instanceId);
    while (isRunning() && !node.volumeIds.every(isAttached)) await pause();
    if (isRunning()) this.members.get(node.id)?.start();
    while (isRunning() && !(await this.hasJoined(node))) await pause();
    const hooks = autoScaling.groups.get(node.group)?.hooks.values() ?? [];
    const hook = [...hooks].find(({ transition }) => transition === "launching");
    if (hook && autoScaling.lifecycleOf(instanceId) === "Pending:Wait") {
      autoScaling.completeHook(node.group, hook.name, instanceId, "CONTINUE");
    }
  }
}

const pause = () => systemClock.sleep(POLL_MS);
