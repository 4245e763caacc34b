import { hclLiteral } from "../publish/expressions";
import type { PoolConfig } from "./pool-keys";
import table from "./slot-table.json";

const TYPES = new Map(Object.entries(table.types));
const SIZES = new Map(Object.entries(table.sizes));

/**
 * Slots of a worker of this instance type: what `slot-table.json` says of the type, else of its size, else undefined.
 *
 * The sizes `large` and `xlarge` have two and four vCPUs in every current family. Others are not derived: a `medium` has one
 * vCPU or two, and beyond `xlarge` it is the databases and the network that set the bound.
 * @see https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
 */
export function slotsOfType(instanceType: string): number | undefined {
  return TYPES.get(instanceType) ?? SIZES.get(instanceType.slice(instanceType.indexOf(".") + 1));
}

/**
 * Jobs that one worker of the pool runs at a time: what its settings say, else what the smallest of its instance types has
 * slots for, since a job may land on any of them.
 *
 * @throws Error naming the first type that has no slots in the table, where the settings do not say.
 */
export function workerSlots({ slots, instance_types }: Pick<PoolConfig, "slots" | "instance_types">): number {
  if (slots !== undefined) {
    return slots;
  }
  const perType = instance_types.map((type) => {
    const ofType = slotsOfType(type);
    if (ofType === undefined) {
      throw new Error(`slots ${slotsNeeded(type)}`);
    }
    return ofType;
  });
  return Math.min(...perType);
}

/** Why a pool with this type has to say its slots itself. */
export function slotsNeeded(instanceType: string): string {
  return `is needed: there is no default for ${instanceType}; give the number of jobs that one worker runs at a time`;
}

/** {@link slotsOfType} as a Terraform expression, 0 for undefined, of a type held by the expression `type`. */
const slotsOfTypeHcl = (type: string): string =>
  `lookup(${hclLiteral(table.types)}, ${type}, lookup(${hclLiteral(table.sizes)}, element(split(".", ${type}), 1), 0))`;

/** {@link workerSlots} as a Terraform expression, of a pool held by the expression `pool`. */
export function workerSlotsHcl(pool: string): string {
  return `coalesce(${pool}.slots, min([for type in ${pool}.instance_types : ${slotsOfTypeHcl("type")}]...))`;
}

/** Whether {@link workerSlotsHcl} finds a number of slots. */
export function hasSlotsHcl(pool: string): string {
  return `${pool}.slots != null || alltrue([for type in ${pool}.instance_types : ${slotsOfTypeHcl("type")} > 0])`;
}
