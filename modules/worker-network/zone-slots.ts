import { Token } from "cdktf";
import { parseCidr } from "./cidr";

/** A VPC is cut into sixteen equal blocks: the lower half for private subnets, the upper for public ones. */
const SLOT_BITS = 4;
const SLOTS_PER_HALF = 8;

/** Where one availability zone's subnets lie in the VPC. */
export interface ZoneSlot {
  readonly zone: string;
  /** The zone's letter: what addresses and names carry. */
  readonly letter: string;
  readonly privateSlot: number;
  readonly publicSlot: number;
}

/** Arguments of Terraform's cidrsubnet for a slot. */
export const SLOT_PREFIX_BITS = SLOT_BITS;

/**
 * Gives each zone the block that its letter names (a is the first), so that adding, removing or reordering zones moves no
 * subnet of another zone.
 *
 * @throws Error for zones that are tokens, not of the form `eu-west-1a`, a to h, repeated, or of two regions.
 */
export function zoneSlots(availabilityZones: readonly string[]): ZoneSlot[] {
  if (availabilityZones.length === 0)
    throw new Error("availabilityZones is empty: name at least one, such as eu-west-1a");
  const slots = availabilityZones.map(zoneSlot);
  const regions = new Set(availabilityZones.map((zone) => zone.slice(0, -1)));
  if (regions.size > 1) throw new Error(`availabilityZones are of two regions: ${[...regions].join(", ")}`);
  if (new Set(availabilityZones).size < slots.length) {
    throw new Error(`availabilityZones (${availabilityZones.join(", ")}) names a zone twice`);
  }
  return slots;
}

function zoneSlot(zone: string): ZoneSlot {
  if (Token.isUnresolved(zone)) {
    throw new Error("availabilityZones must be concrete: a zone's letter is part of its subnets' addresses");
  }
  const letter = /^[a-z]{2}(?:-[a-z]+)+-\d([a-h])$/.exec(zone)?.[1];
  if (letter === undefined) throw new Error(`availabilityZones: ${zone} is not a zone such as eu-west-1a (a to h)`);
  const privateSlot = letter.charCodeAt(0) - "a".charCodeAt(0);
  return { zone, letter, privateSlot, publicSlot: privateSlot + SLOTS_PER_HALF };
}

/**
 * A VPC whose sixteenth is a subnet that AWS accepts.
 *
 * @throws Error for a block that is not IPv4 or outside /16 to /24. Tokens pass.
 * @see https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
 */
export function checkVpcCidr(cidrBlock: string): void {
  if (Token.isUnresolved(cidrBlock)) return;
  const { family, prefixLength } = parseCidr("cidrBlock", cidrBlock);
  if (family !== 4 || prefixLength < 16 || prefixLength > 24) {
    throw new Error(`cidrBlock (${cidrBlock}) must be an IPv4 block from /16 to /24: a subnet gets a sixteenth of it`);
  }
}
