import { Annotations, Token } from "cdktf";
import { Construct } from "constructs";
import { type Architecture, architectureOf, architecturesOf } from "./architecture";
import { compact } from "./compact";
import type { InstanceChoice, SpotProps } from "./instance-mix";
import { amazonLinux, imageId, type MachineImage } from "./machine-image";
import { WorkerGroup, type WorkerGroupProps } from "./worker-group";
import { WorkerLaunchTemplate, type WorkerLaunchTemplateProps } from "./worker-launch-template";

export interface PoolInstancesProps
  extends Omit<WorkerGroupProps, "instances">,
    Omit<WorkerLaunchTemplateProps, "imageId" | "instanceType" | "hibernation"> {
  /** What the pool may run on, in order of preference; concrete. Types of both architectures may stand side by side. */
  readonly instanceTypes: readonly string[];
  /**
   * What boots, by architecture.
   * @default - the newest Amazon Linux 2023
   */
  readonly images?: Readonly<Partial<Record<Architecture, MachineImage>>>;
  /**
   * Buy spare capacity.
   * @default - On-Demand only
   */
  readonly spot?: SpotProps;
}

/** Fewer types or zones than this and EC2 has little to choose from when it takes capacity back. */
const SPOT_TYPES = 3;
const SPOT_SUBNETS = 2;

/**
 * The instances of a pool: a launch template for each architecture and the group that boots them.
 *
 * A pool of one architecture has one template. The templates of a mixed pool differ in their image alone.
 *
 * @throws Error naming the value for a malformed instance type, an image of an architecture that the pool has no type of, and
 * a warm pool beside Spot or several types, which EC2 Auto Scaling refuses.
 */
export class PoolInstances extends Construct {
  public readonly group: WorkerGroup;
  /** Templates by architecture, the group's own first. */
  public readonly templates: ReadonlyMap<Architecture, WorkerLaunchTemplate>;

  public constructor(scope: Construct, id: string, props: PoolInstancesProps) {
    super(scope, id);
    requireInstances(props);
    this.warnOfScarceSpot(props);

    const [primary] = architecturesOf(props.instanceTypes);
    this.templates = new Map(
      architecturesOf(props.instanceTypes).map((architecture) => [
        architecture,
        this.template(architecture, architecture === primary, props),
      ]),
    );
    this.group = new WorkerGroup(this, "group", {
      ...props,
      instances: { choices: this.choices(props.instanceTypes), ...compact({ spot: props.spot }) },
    });
  }

  private template(architecture: Architecture, primary: boolean, props: PoolInstancesProps): WorkerLaunchTemplate {
    const firstType = props.instanceTypes.find((type) => architectureOf(type) === architecture) ?? "";
    return new WorkerLaunchTemplate(this, primary ? "template" : `template_${architecture}`, {
      ...props,
      name: primary ? props.name : `${props.name}-${architecture}`,
      instanceType: firstType,
      hibernation: props.warmPool?.state === "Hibernated",
      imageId: imageId(this, architecture, props.images?.[architecture] ?? amazonLinux(architecture)),
    });
  }

  private choices(instanceTypes: readonly string[]): InstanceChoice[] {
    return instanceTypes.flatMap((instanceType) => {
      const template = this.templates.get(architectureOf(instanceType));
      return template === undefined
        ? []
        : [{ instanceType, templateId: template.templateId, templateVersion: template.latestVersion }];
    });
  }

  private warnOfScarceSpot({ spot, instanceTypes, subnetIds, name }: PoolInstancesProps): void {
    if (spot === undefined) {
      return;
    }
    if (instanceTypes.length < SPOT_TYPES) {
      Annotations.of(this).addWarning(
        `${name}: Spot with ${instanceTypes.length} instance types (${instanceTypes.join(", ")}) is interrupted often; give ${SPOT_TYPES} or more`,
      );
    }
    if (!Token.isUnresolved(subnetIds) && subnetIds.length < SPOT_SUBNETS) {
      Annotations.of(this).addWarning(
        `${name}: Spot in ${subnetIds.length} subnet is interrupted often; give subnets in ${SPOT_SUBNETS} or more availability zones`,
      );
    }
  }
}

function requireInstances({ name, instanceTypes, images, spot, warmPool }: PoolInstancesProps): void {
  if (images !== undefined) {
    requireImages(name, instanceTypes, images);
  }
  if (warmPool !== undefined && (spot !== undefined || instanceTypes.length > 1)) {
    throw new Error(
      `${name}: a warm pool needs one On-Demand instance type (${spot === undefined ? instanceTypes.join(", ") : "spot is set"})`,
    );
  }
}

function requireImages(
  name: string,
  instanceTypes: readonly string[],
  images: Partial<Record<Architecture, unknown>>,
): void {
  const without = instanceTypes.find((type) => images[architectureOf(type)] === undefined);
  if (without !== undefined) {
    throw new Error(
      `${name}: ${without} runs ${architectureOf(without)}, and there is no ${architectureOf(without)} image`,
    );
  }
  const architectures = architecturesOf(instanceTypes);
  const unused = (Object.keys(images) as Architecture[]).find((architecture) => !architectures.includes(architecture));
  if (unused !== undefined) {
    throw new Error(`${name}: there is an ${unused} image, and none of ${instanceTypes.join(", ")} runs ${unused}`);
  }
}
