import type { AutoscalingGroupConfig } from "@cdktf/provider-aws/lib/autoscaling-group";

/** A launch template version and what of it may boot. */
export interface InstanceChoice {
  readonly instanceType: string;
  readonly templateId: string;
  readonly templateVersion: string;
}

export interface InstanceMix {
  /** In order of preference; the first one's template is the group's own. */
  readonly choices: readonly InstanceChoice[];
  /**
   * Buy spare capacity, which EC2 may take back at two minutes' notice.
   * @default - On-Demand only
   */
  readonly spot?: SpotProps;
}

export interface SpotProps {
  /**
   * Workers that are On-Demand before the first Spot one is bought.
   * @default 0
   */
  readonly onDemandBase?: number;
  /**
   * Share of On-Demand workers beyond the base, in percent.
   * @default 0
   */
  readonly onDemandPercentAboveBase?: number;
}

type InstanceSelection = Pick<AutoscalingGroupConfig, "launchTemplate" | "mixedInstancesPolicy" | "capacityRebalance">;

/**
 * The part of a group that says which instances it buys: the template alone for one On-Demand type (the only form a warm
 * pool accepts), otherwise a mixed instances policy with one override for each type.
 *
 * Spot capacity is asked for here and not as a market option of the template, which a mixed instances policy refuses; no
 * price limit is set, since a limit only adds interruptions.
 * @see https://docs.aws.amazon.com/autoscaling/ec2/userguide/allocation-strategies.html
 * @throws Error when there is nothing to choose from.
 */
export function instanceSelection({ choices, spot }: InstanceMix): InstanceSelection {
  const [first] = choices;
  if (first === undefined) {
    throw new Error("a group needs at least one instance type");
  }
  if (choices.length === 1 && spot === undefined) {
    return { launchTemplate: { id: first.templateId, version: first.templateVersion } };
  }
  return {
    ...(spot === undefined ? {} : { capacityRebalance: true }),
    mixedInstancesPolicy: {
      instancesDistribution: {
        onDemandAllocationStrategy: "prioritized",
        onDemandBaseCapacity: spot?.onDemandBase ?? 0,
        onDemandPercentageAboveBaseCapacity: spot === undefined ? 100 : (spot.onDemandPercentAboveBase ?? 0),
        spotAllocationStrategy: "price-capacity-optimized",
      },
      launchTemplate: {
        launchTemplateSpecification: { launchTemplateId: first.templateId, version: first.templateVersion },
        override: choices.map((choice) => ({
          instanceType: choice.instanceType,
          ...(choice.templateId === first.templateId
            ? {}
            : {
                launchTemplateSpecification: {
                  launchTemplateId: choice.templateId,
                  version: choice.templateVersion,
                },
              }),
        })),
      },
    },
  };
}
