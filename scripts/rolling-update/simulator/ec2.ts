import { CloudError, type Instance, type NetworkInterface, type TemplateVersion, type Volume } from "../cloud";
import { Timeline } from "./timeline";
import type { Scheduler } from "./virtual-clock";

/** EC2 would not start the instance; the message is what a scaling activity shows. */
export class LaunchRefused extends Error {}

export interface Ec2Timings {
  /** From RunInstances to `running`. */
  startMs: () => number;
  /** From the request to `terminated`; the operating system's own shutdown has no limit that can be set. */
  shutdownMs: () => number;
  /** From `terminated` to a data volume that is `available` again. */
  detachMs: () => number;
}

export interface InstanceRecord extends Instance {
  readonly zone: string;
  readonly template: TemplateVersion;
  readonly interfaceId: string;
}

/** Instances, fixed interfaces, volumes and launch templates of one region. */
export class Ec2 {
  readonly instances = new Map<string, Timeline<InstanceRecord>>();
  readonly interfaces = new Map<string, Timeline<NetworkInterface>>();
  readonly volumes = new Map<string, Timeline<Volume>>();
  readonly impaired = new Set<string>();
  readonly console = new Map<string, string>();
  readonly #templates = new Map<string, { versions: TemplateVersion[]; defaultVersion: number }>();
  #launched = 0;
  /** Told of every instance that has stopped running, whatever ended it. */
  onTerminated: (instanceId: string) => void = () => {};
  /** A reason to refuse the next launch of this template version, in EC2's words. */
  launchFault: (template: TemplateVersion) => string | undefined = () => undefined;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly timings: Ec2Timings,
  ) {}

  addInterface(record: NetworkInterface): void {
    this.interfaces.set(record.id, new Timeline(this.scheduler, record));
  }

  addVolume(record: Volume): void {
    this.volumes.set(record.id, new Timeline(this.scheduler, record));
  }

  /** Adds the next version of a template and gives its number. */
  addTemplateVersion(id: string, body: Omit<TemplateVersion, "id" | "version">): number {
    const template = this.#templates.get(id) ?? { versions: [], defaultVersion: 1 };
    this.#templates.set(id, template);
    const version = template.versions.length + 1;
    template.versions.push({ id, version, ...body });
    return version;
  }

  /**
   * `$Latest` and `$Default` are resolved at each use; an omitted version is `$Default`.
   * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LaunchTemplateSpecification.html
   */
  template(id: string, version = "$Default"): TemplateVersion {
    const template = this.#templates.get(id);
    const number =
      version === "$Latest" ? template?.versions.length : version === "$Default" ? template?.defaultVersion : +version;
    const found = template?.versions[(number ?? 0) - 1];
    if (!found) {
      throw new CloudError(
        "DescribeLaunchTemplateVersions",
        "InvalidLaunchTemplateId.VersionNotFound",
        `${id} has no version ${version}`,
      );
    }
    return found;
  }

  /**
   * Starts an instance on its template's interface.
   * An interface belongs to one instance at a time, and the primary one stays until that instance is terminated:
   * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html
   */
  launch(template: TemplateVersion, zone: string, tags: Readonly<Record<string, string>>): string {
    const fault = this.launchFault(template);
    if (fault) throw new LaunchRefused(fault);
    const interfaceId = template.interfaces[0]?.id ?? "";
    const card = this.interfaces.get(interfaceId);
    if (!card) throw new LaunchRefused(`The networkInterface ID '${interfaceId}' does not exist`);
    if (card.current.status !== "available") throw new LaunchRefused(`Interface: [${interfaceId}] in use.`);
    const id = `i-${(++this.#launched).toString(16).padStart(17, "0")}`;
    this.instances.set(id, new Timeline(this.scheduler, { id, state: "pending", tags, zone, template, interfaceId }));
    card.set({ status: "in-use", instanceId: id });
    this.scheduler.after(this.timings.startMs(), () => {
      if (this.#is(id, "pending")) this.instances.get(id)?.set({ state: "running" });
    });
    return id;
  }

  /** A volume is attached to one instance at a time (VolumeInUse); false while it is not available. */
  attach(volumeId: string, instanceId: string): boolean {
    const volume = this.volumes.get(volumeId);
    if (volume?.current.state !== "available" || !this.#is(instanceId, "running")) return false;
    volume.set({ state: "in-use", instanceId });
    return true;
  }

  /**
   * Terminating is idempotent; interface and volumes come free when the instance is gone, not before.
   * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html
   */
  terminate(id: string): void {
    const instance = this.instances.get(id);
    if (!instance || this.#is(id, "shutting-down") || this.#is(id, "terminated")) return;
    instance.set({ state: "shutting-down" });
    this.scheduler.after(this.timings.shutdownMs(), () => {
      instance.set({ state: "terminated" });
      const card = this.interfaces.get(instance.current.interfaceId);
      card?.set({ status: "available" });
      this.scheduler.after(this.timings.detachMs(), () => this.#detachVolumes(id));
      this.onTerminated(id);
    });
  }

  state(id: string): Instance["state"] | undefined {
    return this.instances.get(id)?.current.state;
  }

  #is(id: string, state: Instance["state"]): boolean {
    return this.state(id) === state;
  }

  #detachVolumes(instanceId: string): void {
    for (const volume of this.volumes.values()) {
      if (volume.current.state === "in-use" && volume.current.instanceId === instanceId)
        volume.set({ state: "available" });
    }
  }
}
