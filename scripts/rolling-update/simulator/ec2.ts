import { AwsError } from "../../emulator/aws-error";
import { Ec2Rules, type InstanceRecord } from "../../emulator/ec2/ec2-rules";
import type { Scheduler } from "../../emulator/scheduler";
import { CloudError, type NetworkInterface, type TemplateVersion, type Volume } from "../cloud";

export interface Ec2Timings {
  /** From RunInstances to `running`. */
  startMs: () => number;
  /** From the request to `terminated`; the operating system's own shutdown has no limit that can be set. */
  shutdownMs: () => number;
  /** From `terminated` to a data volume that is `available` again. */
  detachMs: () => number;
}

export interface SimulatedInstance extends InstanceRecord {
  readonly tags: Readonly<Record<string, string>>;
  readonly zone: string;
  readonly template: TemplateVersion;
  readonly interfaceId: string;
}

/** Instances, fixed interfaces, volumes and launch templates of one region. */
export class Ec2 extends Ec2Rules<SimulatedInstance, NetworkInterface, Volume> {
  readonly impaired = new Set<string>();
  readonly console = new Map<string, string>();
  readonly #templates = new Map<string, { versions: TemplateVersion[]; defaultVersion: number }>();
  #launched = 0;
  /** A reason to refuse the next launch of this template version, in EC2's words. */
  launchFault: (template: TemplateVersion) => string | undefined = () => undefined;

  constructor(scheduler: Scheduler, timings: Ec2Timings) {
    super(scheduler, {
      start: (_instance, running) => scheduler.after(timings.startMs(), running),
      shutdown: (_id, gone) => scheduler.after(timings.shutdownMs(), gone),
      detach: (_id, _volumes, free) => scheduler.after(timings.detachMs(), free),
    });
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

  /** Starts an instance on its template's interface. @throws AwsError where EC2 refuses. */
  launch(template: TemplateVersion, zone: string, tags: Readonly<Record<string, string>>): string {
    const fault = this.launchFault(template);
    if (fault) throw new AwsError("InsufficientInstanceCapacity", fault);
    const interfaceId = template.interfaces[0]?.id ?? "";
    this.assertFree([interfaceId]);
    const id = `i-${(++this.#launched).toString(16).padStart(17, "0")}`;
    this.begin({ id, state: "pending", tags, zone, template, interfaceId, interfaceIds: [interfaceId] });
    return id;
  }

  /** False while the volume cannot be attached. */
  tryAttach(volumeId: string, instanceId: string): boolean {
    try {
      this.attach(volumeId, instanceId);
      return true;
    } catch (error) {
      if (error instanceof AwsError) return false;
      throw error;
    }
  }
}
