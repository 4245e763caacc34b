import type { AwsCalls } from "../aws-calls";
import { AwsError } from "../aws-error";
import type { Faults } from "../faults";
import type { LaunchedInstance, Machine, Machines } from "../machines";
import type { Scheduler } from "../scheduler";
import { type Tree, textAt, treeAt, treesAt } from "../tree";
import { Ec2Rules, type InstanceRecord } from "./ec2-rules";

/** An instance, as what it was launched with says it. */
export interface RunningInstance extends InstanceRecord, LaunchedInstance {
  readonly instanceType: string;
  readonly zone: string;
  readonly subnetId: string;
  readonly vpcId: string;
  readonly interfaceId: string;
  readonly profileArn: string | undefined;
  readonly launchedMs: number;
  readonly tellsTags: boolean;
}

/**
 * The instances of one region: records in the emulator behind, lives by the rules, machines under them. What the emulator
 * behind does not do by itself, it is told: an instance that ends leaves its interface and its volumes.
 */
export class RegionInstances {
  readonly rules: Ec2Rules<RunningInstance>;
  readonly attaching = new Set<string>();
  readonly #machines = new Map<string, Promise<Machine>>();
  /** What machines that have gone had printed. */
  readonly #printed = new Map<string, string>();
  /** Launches one after the other: an interface goes to one of them. */
  #launches: Promise<unknown> = Promise.resolve();

  constructor(
    readonly region: string,
    private readonly aws: AwsCalls,
    private readonly machines: Machines,
    private readonly scheduler: Scheduler,
    private readonly faults: Faults,
    /** Told where the emulator behind fails at what nobody waits for. */
    failed: (error: unknown) => void,
  ) {
    this.rules = new Ec2Rules(scheduler, {
      start: (instance, running) => this.#start(instance, running),
      shutdown: (id, gone) => void this.#shutdown(id).then(gone).catch(failed),
      detach: (id, volumeIds, free) => void this.#release(id, volumeIds).then(free).catch(failed),
    });
  }

  /**
   * Does what `RunInstances` does with `parameters`, and gives its answer.
   *
   * @throws AwsError where EC2 refuses.
   */
  run(parameters: Tree): Promise<Tree> {
    const launch = this.#launches.then(() => this.#run(parameters));
    this.#launches = launch.catch(() => undefined);
    return launch;
  }

  machine(instanceId: string): Promise<Machine> | undefined {
    return this.#machines.get(instanceId);
  }

  /** What an instance has printed, also once it is gone. */
  async console(instanceId: string): Promise<string> {
    const machine = await this.#machines.get(instanceId)?.catch(() => undefined);
    return machine?.console() ?? this.#printed.get(instanceId) ?? "";
  }

  /** Takes the emulator's record of a volume over, unless the rules have it. @throws AwsError InvalidVolume.NotFound */
  async learnVolume(volumeId: string): Promise<void> {
    if (this.rules.volumes.has(volumeId)) return;
    const answer = await this.aws("ec2", this.region, "DescribeVolumes", { VolumeId: [volumeId] });
    const [volume = {}] = treesAt(answer, "volumeSet");
    const [attachment] = treesAt(volume, "attachmentSet");
    const instanceId = attachment && textAt(attachment, "instanceId");
    this.rules.addVolume({
      id: volumeId,
      state: textAt(volume, "status") ?? "available",
      ...(instanceId === undefined ? {} : { instanceId }),
    });
  }

  /** Attaches a volume to what stands for an instance, which may take its time: the volume is `attaching` meanwhile. */
  async plug(volumeId: string, instanceId: string, device: string): Promise<void> {
    this.attaching.add(volumeId);
    await this.#pass(this.faults.attachingMs(volumeId));
    const machine = await this.#machines.get(instanceId);
    await machine?.attach(volumeId, device);
    this.attaching.delete(volumeId);
  }

  #pass(ms: number): Promise<void> {
    return ms <= 0 ? Promise.resolve() : new Promise((resolve) => this.scheduler.after(ms, resolve));
  }

  async #run(parameters: Tree): Promise<Tree> {
    const interfaceIds = treesAt(parameters, "NetworkInterface").flatMap(
      (card) => textAt(card, "NetworkInterfaceId") ?? [],
    );
    for (const id of interfaceIds) await this.#learnInterface(id);
    this.rules.assertFree(interfaceIds);
    const answer = await this.aws("ec2", this.region, "RunInstances", parameters);
    for (const described of treesAt(answer, "instancesSet")) {
      this.rules.begin(record(described, interfaceIds, parameters));
    }
    return answer;
  }

  /** The emulator's record of an interface, which may have been made, attached or detached without the rules. */
  async #learnInterface(id: string): Promise<void> {
    if (this.rules.interfaces.get(id)?.current.status === "in-use") return;
    const answer = await this.aws("ec2", this.region, "DescribeNetworkInterfaces", { NetworkInterfaceId: [id] });
    const [card = {}] = treesAt(answer, "networkInterfaceSet");
    this.rules.addInterface({ id, status: textAt(card, "status") ?? "available" });
  }

  #start(instance: RunningInstance, running: () => void): void {
    const starting = this.machines.start(instance);
    this.#machines.set(instance.id, starting);
    starting.then(
      (machine) => {
        running();
        return machine.ended.then(() => this.rules.terminate(instance.id));
      },
      () => this.rules.terminate(instance.id),
    );
  }

  async #shutdown(id: string): Promise<void> {
    const machine = await this.#machines.get(id)?.catch(() => undefined);
    await machine?.shutdown();
    if (machine) this.#printed.set(id, await machine.console());
    await this.#pass(this.faults.shutdownMs(id));
    for (const interfaceId of this.rules.instances.get(id)?.current.interfaceIds ?? []) {
      await this.#freeInterface(id, interfaceId);
    }
    await this.aws("ec2", this.region, "TerminateInstances", { InstanceId: [id] });
    this.#machines.delete(id);
  }

  /** The emulator behind never detaches an instance's last interface: it gets another one for a moment. */
  async #freeInterface(instanceId: string, interfaceId: string): Promise<void> {
    const ec2 = (action: string, parameters: Tree) => this.aws("ec2", this.region, action, parameters);
    const described = await ec2("DescribeNetworkInterfaces", { NetworkInterfaceId: [interfaceId] });
    const [card = {}] = treesAt(described, "networkInterfaceSet");
    const attachment = textAt(treeAt(card, "attachment"), "attachmentId");
    if (attachment === undefined) return;
    const made = await ec2("CreateNetworkInterface", { SubnetId: textAt(card, "subnetId") ?? "" });
    const spare = textAt(treeAt(made, "networkInterface"), "networkInterfaceId") ?? "";
    await ec2("AttachNetworkInterface", { NetworkInterfaceId: spare, InstanceId: instanceId, DeviceIndex: "1" });
    await ec2("DetachNetworkInterface", { AttachmentId: attachment });
    // It cannot describe an instance without a first interface either.
    await ec2("AttachNetworkInterface", { NetworkInterfaceId: spare, InstanceId: instanceId, DeviceIndex: "0" });
    await ec2("DeleteNetworkInterface", { NetworkInterfaceId: spare });
  }

  async #release(instanceId: string, volumeIds: readonly string[]): Promise<void> {
    for (const volumeId of volumeIds) {
      await this.aws("ec2", this.region, "DetachVolume", { VolumeId: volumeId, InstanceId: instanceId }).catch(
        (error: unknown) => {
          if (!(error instanceof AwsError)) throw error;
        },
      );
    }
  }
}

function record(described: Tree, interfaceIds: readonly string[], parameters: Tree): RunningInstance {
  const [card = {}] = treesAt(described, "networkInterfaceSet");
  const text = (name: string) => textAt(described, name) ?? "";
  return {
    id: text("instanceId"),
    state: "pending",
    interfaceIds,
    imageId: text("imageId"),
    hostname: text("privateDnsName"),
    privateIp: text("privateIpAddress"),
    macAddress: textAt(card, "macAddress") ?? "",
    instanceType: text("instanceType"),
    zone: textAt(treeAt(described, "placement"), "availabilityZone") ?? "",
    subnetId: text("subnetId"),
    vpcId: text("vpcId"),
    interfaceId: textAt(card, "networkInterfaceId") ?? "",
    profileArn: textAt(treeAt(described, "iamInstanceProfile"), "arn"),
    launchedMs: Date.parse(text("launchTime")),
    // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceMetadataOptionsRequest.html
    tellsTags: textAt(treeAt(parameters, "MetadataOptions"), "InstanceMetadataTags") === "enabled",
  };
}
