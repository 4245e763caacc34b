import type { Member, MixedInstances, ScalingGroup, TemplateReference } from "./group";

/** Where and as what a group launches its next instance. */
export interface LaunchChoice {
  /** Index into the group's zones, and into its subnets where it has some. */
  readonly place: number;
  readonly template: TemplateReference;
  readonly instanceType?: string;
  readonly spot: boolean;
}

export const counts = ({ lifecycle }: Member): boolean =>
  !lifecycle.startsWith("Terminating") && lifecycle !== "Standby" && !lifecycle.startsWith("Detach");

/**
 * The next launch of a group, `begun` being the launches that EC2 has not answered yet: in the zone with the fewest
 * instances, as the first override, On-Demand up to the base and by percentage above it.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/auto-scaling-benefits.html#arch-AutoScalingMultiAZ
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/allocation-strategies.html
 */
export function nextLaunch(group: ScalingGroup, begun: readonly LaunchChoice[]): LaunchChoice {
  const members = group.instances.filter(counts);
  const load = group.zones.map(
    (zone, place) =>
      members.filter((member) => member.zone === zone).length + begun.filter((other) => other.place === place).length,
  );
  const place = Math.max(0, load.indexOf(Math.min(...load)));
  const { mixed } = group;
  if (!mixed) return { place, template: group.template ?? { id: "" }, spot: false };
  const onDemand = members.filter(({ spot }) => !spot).length + begun.filter(({ spot }) => !spot).length;
  const [first = {}] = mixed.overrides;
  return {
    place,
    template: first.template ?? mixed.template,
    ...(first.instanceType === undefined ? {} : { instanceType: first.instanceType }),
    spot: isSpot(mixed, onDemand, members.length + begun.length),
  };
}

function isSpot({ onDemandBase, onDemandPercent }: MixedInstances, onDemand: number, total: number): boolean {
  if (onDemand < onDemandBase) return false;
  const above = total + 1 - onDemandBase;
  return onDemand - onDemandBase >= Math.ceil((above * onDemandPercent) / 100);
}

/**
 * The instances that leave when a group has too many: out of the zone with the most, of the oldest template, then the oldest;
 * never one that is protected from scale-in.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-termination-policies.html#default-termination-policy
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html
 */
export function scaleIn(group: ScalingGroup, count: number): string[] {
  const left = group.instances.filter(counts);
  const chosen: string[] = [];
  while (chosen.length < count) {
    const candidates = left.filter(({ id, protectedFromScaleIn }) => !protectedFromScaleIn && !chosen.includes(id));
    const load = (member: Member) => left.filter(({ id, zone }) => zone === member.zone && !chosen.includes(id)).length;
    const [next] = candidates.sort(
      (a, b) => load(b) - load(a) || version(a) - version(b) || (a.launchedMs ?? 0) - (b.launchedMs ?? 0),
    );
    if (!next) break;
    chosen.push(next.id);
  }
  return chosen;
}

const version = ({ template }: Member): number => Number(template?.version ?? 0);
