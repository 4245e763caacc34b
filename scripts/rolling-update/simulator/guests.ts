import type { Scheduler } from "../../emulator/scheduler";
import type { ManifestNode } from "../manifest";
import { type ClusterProbe, HEALTHY, unhealthy } from "../probe";
import type { AutoScaling } from "./auto-scaling";
import type { Ec2 } from "./ec2";
import type { Process } from "./virtual-clock";

/** What a template version's instances do once they run. */
export interface GuestProgram {
  /** `joins`: completes its hook; `hangs`: never does; `fails`: abandons it; `sick`: completes it and does not serve. */
  readonly boot: "joins" | "hangs" | "fails" | "sick";
  readonly bootMs: () => number;
}

/** The application on the nodes: who serves, who leads. The truth, read without delay. */
export class Guests {
  readonly #serving = new Map<string, string>();
  readonly #nodeOfGroup = new Map<string, ManifestNode>();
  /** Instances whose application was stopped by a fault of its own. */
  readonly #broken = new Set<string>();
  #leader: string | undefined;
  /** A node's health as the probe is to report it, whatever the truth; undefined for the truth. */
  script: (nodeId: string) => boolean | undefined = () => undefined;
  onChange: (nodeId: string, serving: boolean) => void = () => {};
  onLeader: (nodeId: string) => void = () => {};

  constructor(
    private readonly scheduler: Scheduler,
    private readonly ec2: Ec2,
    private readonly autoScaling: AutoScaling,
    private readonly program: (instanceId: string) => GuestProgram,
    private readonly random: () => number,
  ) {
    autoScaling.onBoot = (instanceId, groupName) => this.#boot(instanceId, groupName);
    autoScaling.onTerminating = (instanceId) => this.#down(instanceId);
  }

  addNode(node: ManifestNode): void {
    this.#nodeOfGroup.set(node.group, node);
  }

  serving(nodeId: string): boolean {
    return this.#serving.has(nodeId);
  }

  instanceServing(nodeId: string): string | undefined {
    return this.#serving.get(nodeId);
  }

  get leader(): string | undefined {
    return this.#leader;
  }

  lead(nodeId: string | undefined): void {
    this.#leader = nodeId;
    if (nodeId !== undefined) this.onLeader(nodeId);
  }

  /** The instance ends by itself: hardware, kernel, operator. */
  kill(nodeId: string): void {
    const instanceId = this.#serving.get(nodeId);
    if (instanceId === undefined) return;
    this.#down(instanceId);
    this.ec2.terminate(instanceId);
  }

  /** The application stops serving while its instance runs on; it heals by itself after a while. */
  degrade(nodeId: string, ms: number): void {
    const instanceId = this.#serving.get(nodeId);
    if (instanceId === undefined) return;
    this.#broken.add(instanceId);
    this.#down(instanceId);
    this.scheduler.after(ms, () => {
      this.#broken.delete(instanceId);
      if (this.ec2.state(instanceId) === "running" && this.autoScaling.lifecycleOf(instanceId) === "InService") {
        this.#up(nodeId, instanceId);
      }
    });
  }

  /** The application as a probe from the roller's process; each answer takes `latencyMs`. */
  probe(process: Process, latencyMs: () => number): ClusterProbe {
    const answer = async <T>(read: () => T): Promise<T> => {
      const delay = latencyMs();
      if (delay > 0) await process.sleep(delay);
      return read();
    };
    const ok = (id: string) => this.script(id) ?? this.serving(id);
    return {
      health: (nodes) =>
        answer(() => new Map(nodes.map(({ id }) => [id, ok(id) ? HEALTHY : unhealthy("does not answer")]))),
      canRoll: (going, all) =>
        answer(() => {
          const leaving = new Set(going.map(({ id }) => id));
          const staying = all.filter(({ id }) => !leaving.has(id) && ok(id)).length;
          const quorum = Math.floor(all.length / 2) + 1;
          return staying >= quorum || all.length < 3
            ? HEALTHY
            : unhealthy(`${staying} nodes would stay, a quorum is ${quorum}`);
        }),
      leader: () => answer(() => this.#leader),
    };
  }

  #boot(instanceId: string, groupName: string): void {
    const node = this.#nodeOfGroup.get(groupName);
    if (!node) return;
    this.#attachVolumes(node, instanceId, () => {
      const { boot, bootMs } = this.program(instanceId);
      this.scheduler.after(bootMs(), () => {
        if (this.ec2.state(instanceId) !== "running" || boot === "hangs") return;
        if (boot === "joins") this.#up(node.id, instanceId);
        this.#complete(groupName, instanceId, boot === "fails" ? "ABANDON" : "CONTINUE");
      });
    });
  }

  /** A node attaches its own data volumes and waits for those the old instance still holds. */
  #attachVolumes(node: ManifestNode, instanceId: string, then: () => void): void {
    const missing = node.volumeIds.filter((id) => this.ec2.volumes.get(id)?.current.instanceId !== instanceId);
    const left = missing.filter((id) => !this.ec2.tryAttach(id, instanceId));
    if (left.length === 0) then();
    else if (this.ec2.state(instanceId) === "running") {
      this.scheduler.after(5_000, () => this.#attachVolumes(node, instanceId, then));
    }
  }

  #complete(groupName: string, instanceId: string, result: "CONTINUE" | "ABANDON"): void {
    const hook = [...(this.autoScaling.groups.get(groupName)?.hooks.values() ?? [])].find(
      ({ transition }) => transition === "launching",
    );
    if (hook && this.autoScaling.lifecycleOf(instanceId) === "Pending:Wait") {
      this.autoScaling.completeHook(groupName, hook.name, instanceId, result);
    }
  }

  #up(nodeId: string, instanceId: string): void {
    if (this.#broken.has(instanceId)) return;
    this.#serving.set(nodeId, instanceId);
    this.onChange(nodeId, true);
    if (this.#leader === undefined) this.lead(nodeId);
  }

  #down(instanceId: string): void {
    for (const [nodeId, serving] of this.#serving) {
      if (serving !== instanceId) continue;
      this.#serving.delete(nodeId);
      this.onChange(nodeId, false);
      if (this.#leader === nodeId) this.#elect();
    }
  }

  #elect(): void {
    const candidates = [...this.#serving.keys()];
    this.lead(candidates[Math.floor(this.random() * candidates.length)]);
  }
}
