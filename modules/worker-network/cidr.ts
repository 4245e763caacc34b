import { isIPv4, isIPv6 } from "node:net";

/** A block of addresses. */
export interface CidrBlock {
  readonly family: 4 | 6;
  readonly prefixLength: number;
}

/**
 * Parses CIDR notation.
 *
 * @throws Error naming `field` for anything that is not a network's first address and a prefix length (RFC 4632): AWS
 *   would store 10.1.2.3/8 as 10.0.0.0/8 and every later plan would differ.
 */
export function parseCidr(field: string, text: string): CidrBlock {
  const [address = "", length = "", ...rest] = text.split("/");
  const family = isIPv4(address) ? 4 : isIPv6(address) ? 6 : undefined;
  const prefixLength = Number(length);
  const widest = family === 4 ? 32 : 128;
  if (!family || rest.length > 0 || !/^\d{1,3}$/.test(length) || prefixLength > widest) {
    throw new Error(`${field} (${text}) is not a CIDR block such as 10.20.0.0/16`);
  }
  if (family === 4) {
    const network = networkAddress(address, prefixLength);
    if (network !== address) throw new Error(`${field} (${text}) has host bits set: write ${network}/${length}`);
  }
  return { family, prefixLength };
}

function networkAddress(address: string, prefixLength: number): string {
  const bits = address.split(".").reduce((value, octet) => value * 256 + Number(octet), 0);
  const size = 2 ** (32 - prefixLength);
  const first = Math.floor(bits / size) * size;
  return [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join(".");
}
