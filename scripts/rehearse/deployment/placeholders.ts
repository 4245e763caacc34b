import { WrongUse } from "../wrong-use";

/** Where one address stands for another: the first two numbers of a network of /16. */
export interface Rebase {
  /** Such as `10.50`. */
  readonly from: string;
  readonly to: string;
}

/** A subnet that a deployment names, and that a rehearsal makes. */
export interface NeededSubnet {
  /** As the deployment names it. */
  readonly id: string;
  readonly cidrBlock: string;
}

interface PlacedNode {
  readonly node_id: string;
  readonly node_ip: string;
  readonly node_subnet_id: string;
}

/** `10.50` of `10.50.0.10` and `10.50.0.0/20`. */
export const prefixOf = (address: string): string => address.split(".").slice(0, 2).join(".");

/** The same text with every address of one network of /16 in the other, and what `ids` names under its new name. */
export function replaced(text: string, rebase: Rebase | undefined, ids: ReadonlyMap<string, string>): string {
  const named = [...ids].reduce(
    (result, [from, to]) => result.replaceAll(new RegExp(`(?<![\\w-])${from}(?![\\w-])`, "g"), to),
    text,
  );
  if (rebase === undefined || rebase.from === rebase.to) return named;
  const [first, second] = rebase.from.split(".");
  return named.replaceAll(new RegExp(`(?<![\\d.])${first}\\.${second}(?=\\.\\d)`, "g"), rebase.to);
}

/**
 * The one network of /16 that addresses are in.
 *
 * @throws WrongUse where they are in several.
 */
export function commonPrefix(addresses: readonly string[], where: string): string | undefined {
  const prefixes = [...new Set(addresses.map(prefixOf))];
  if (prefixes.length > 1) {
    throw new WrongUse(
      `${where}: there are addresses of ${prefixes.map((prefix) => `${prefix}.0.0/16`).join(" and ")}`,
      "a rehearsal has one network of /16: give the nodes addresses in one",
    );
  }
  return prefixes[0];
}

/**
 * The subnets that nodes name, each as large as its nodes need and as small as its neighbours demand.
 *
 * @throws WrongUse where no two networks could hold the nodes of two subnets.
 */
export function neededSubnets(nodes: readonly PlacedNode[]): readonly NeededSubnet[] {
  const subnets = new Map<string, PlacedNode[]>();
  for (const node of nodes) subnets.set(node.node_subnet_id, [...(subnets.get(node.node_subnet_id) ?? []), node]);
  const blocks = [...subnets].map(([id, placed]) => {
    const addresses = placed.map(({ node_ip }) => numberOf(node_ip));
    const narrowest = Math.min(SMALLEST, commonLength(addresses));
    return { id, placed, address: addresses[0] ?? 0, narrowest, length: Math.min(USUAL, narrowest) };
  });
  for (const [index, block] of blocks.entries()) {
    for (const other of blocks.slice(index + 1)) {
      while (meet(block, other)) {
        const wider = [block, other]
          .filter(({ length, narrowest }) => length < narrowest)
          .sort((a, b) => a.length - b.length)[0];
        if (wider === undefined) throw inseparable(block, other);
        wider.length += 1;
      }
    }
  }
  return blocks.map(({ id, address, length }) => ({ id, cidrBlock: `${textOf(masked(address, length))}/${length}` }));
}

/** https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html */
const SMALLEST = 28;
const USUAL = 24;

interface Block {
  readonly id: string;
  readonly placed: readonly PlacedNode[];
  readonly address: number;
  readonly length: number;
}

function inseparable(a: Block, b: Block): WrongUse {
  const nodes = ({ placed }: Block) => placed.map(({ node_id, node_ip }) => `${node_id} (${node_ip})`).join(", ");
  return new WrongUse(
    `nodes: ${nodes(a)} of ${a.id} and ${nodes(b)} of ${b.id} cannot be in two networks`,
    "give the nodes of each subnet addresses that lie together",
  );
}

const meet = (a: Block, b: Block) => {
  const length = Math.min(a.length, b.length);
  return masked(a.address, length) === masked(b.address, length);
};

const numberOf = (ip: string) => ip.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
const textOf = (address: number) => [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
const masked = (address: number, length: number) => (address & (-1 << (32 - length))) >>> 0;

/** How many leading bits all have in common. */
function commonLength(addresses: readonly number[]): number {
  const first = addresses[0] ?? 0;
  const differences = addresses.reduce((bits, address) => bits | (address ^ first), 0);
  return Math.clz32(differences);
}
