import { VpcSecurityGroupEgressRule } from "@cdktf/provider-aws/lib/vpc-security-group-egress-rule";
import {
  conditional,
  Fn,
  type ListTerraformIterator,
  Op,
  TerraformIterator,
  type TerraformResourceLifecycle,
  Token,
} from "cdktf";
import type { Construct } from "constructs";
import { parseCidr } from "../worker-network/cidr";

/** Where traffic may go; at least one of the lists is given, each list or string may be a token. */
export interface Destinations {
  /** IPv4 or IPv6 blocks. @default - none */
  readonly cidrs?: readonly string[];
  /** @default - none */
  readonly prefixListIds?: readonly string[];
  /** @default - none */
  readonly securityGroupIds?: readonly string[];
}

/** Traffic over TCP that a worker may open. */
export interface EgressRule {
  /** Stable and unique in its security group: part of the addresses of the rules it becomes. */
  readonly name: string;
  /** What is reached, for whoever reads the security group. */
  readonly description: string;
  /** One port, or a first and a last one. */
  readonly port: number | { readonly from: number; readonly to: number };
  readonly to: Destinations;
}

/** Whether rules may reach the whole internet. */
export type InternetEgress = "allowed" | "forbidden";

/** One resource, or with `forEach` one for each entry of a list that Terraform alone knows. */
interface Destination {
  /** Tells this destination from the rule's others, whatever their order. */
  readonly key: string;
  readonly forEach?: ListTerraformIterator;
  /** A block whose value Terraform alone knows. */
  readonly unknownCidr?: string;
  readonly attributes: {
    readonly cidrIpv4?: string;
    readonly cidrIpv6?: string;
    readonly prefixListId?: string;
    readonly referencedSecurityGroupId?: string;
  };
}

type Kind = keyof Destinations;

/**
 * Writes a rule as one Terraform resource per destination, whose address depends on the rule's name and the destination and
 * not on the order of lists. (A single destination known only to Terraform has no text to go by: it is counted.)
 *
 * @throws Error naming rule and field for a bad port, CIDR block, description, an empty destination, and for 0.0.0.0/0 or
 *   ::/0 where the internet is forbidden (a block that Terraform alone knows is refused when it plans).
 */
export function addEgressRule(
  scope: Construct,
  securityGroupId: string,
  rule: EgressRule,
  internet: InternetEgress,
): void {
  const [fromPort, toPort] = checkedPorts(rule);
  checkDescription(rule);
  if (internet === "forbidden") refuseInternet(rule);
  for (const { key, forEach, unknownCidr, attributes } of destinations(rule)) {
    new VpcSecurityGroupEgressRule(scope, `egress_${rule.name}_${key}`, {
      securityGroupId,
      description: rule.description,
      ipProtocol: "tcp",
      fromPort,
      toPort,
      ...attributes,
      ...(forEach && { forEach }),
      ...(unknownCidr !== undefined && internet === "forbidden" && { lifecycle: notInternet(rule, unknownCidr) }),
    });
  }
}

function refuseInternet({ name, to }: EgressRule): void {
  const open = (to.cidrs ?? []).find((cidr) => !Token.isUnresolved(cidr) && /\/0+$/.test(cidr));
  if (open === undefined) return;
  throw new Error(`egress "${name}" reaches the internet (${open}), which privateLink rules out: name narrower cidrs`);
}

function notInternet({ name }: EgressRule, cidr: string): TerraformResourceLifecycle {
  const errorMessage = `egress "${name}" must not reach the internet: with private endpoints, name narrower cidrs`;
  return { precondition: [{ condition: Op.not(Fn.endswith(cidr, "/0")), errorMessage }] };
}

function destinations(rule: EgressRule): Destination[] {
  const found = (["cidrs", "prefixListIds", "securityGroupIds"] as const).flatMap((kind) =>
    destinationsOfKind(rule, kind, rule.to[kind] ?? []),
  );
  if (found.length === 0) {
    throw new Error(`egress "${rule.name}" goes nowhere: give cidrs, prefixListIds or securityGroupIds`);
  }
  const repeated = found.find(({ key }, i) => found.findIndex((other) => other.key === key) !== i);
  if (repeated) throw new Error(`egress "${rule.name}" names ${repeated.key} twice`);
  return found;
}

function destinationsOfKind(rule: EgressRule, kind: Kind, list: readonly string[]): Destination[] {
  if (!Token.isUnresolved(list)) {
    return list.map((value, i) => ({ key: keyOf(kind, value, i), ...target(rule, kind, value) }));
  }
  const forEach = TerraformIterator.fromList([...list]);
  return [{ key: kind, forEach, ...target(rule, kind, forEach.value) }];
}

function keyOf(kind: Kind, value: string, index: number): string {
  return Token.isUnresolved(value) ? `${kind}_${index}` : value.replace(/[^A-Za-z0-9-]/g, "_");
}

function target(rule: EgressRule, kind: Kind, value: string): Pick<Destination, "attributes" | "unknownCidr"> {
  if (kind === "prefixListIds") return { attributes: { prefixListId: value } };
  if (kind === "securityGroupIds") return { attributes: { referencedSecurityGroupId: value } };
  if (Token.isUnresolved(value)) return { attributes: eitherFamily(value), unknownCidr: value };
  const { family } = parseCidr(`egress "${rule.name}" cidr`, value);
  return { attributes: family === 4 ? { cidrIpv4: value } : { cidrIpv6: value } };
}

function eitherFamily(cidr: string): Destination["attributes"] {
  const isIpv6 = Fn.strcontains(cidr, ":");
  return {
    cidrIpv4: Token.asString(conditional(isIpv6, Token.nullValue(), cidr)),
    cidrIpv6: Token.asString(conditional(isIpv6, cidr, Token.nullValue())),
  };
}

function checkedPorts({ name, port }: EgressRule): [number, number] {
  const { from, to } = typeof port === "number" ? { from: port, to: port } : port;
  for (const value of [from, to]) {
    if (Token.isUnresolved(value)) return [from, to];
    if (!Number.isInteger(value) || value < 1 || value > 65535) {
      throw new Error(`egress "${name}" port (${value}) must be a whole number from 1 to 65535`);
    }
  }
  if (from > to) throw new Error(`egress "${name}" port range: from (${from}) should be <= to (${to})`);
  return [from, to];
}

/** @see https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html */
function checkDescription({ name, description }: EgressRule): void {
  if (Token.isUnresolved(description)) return;
  if (!/^[A-Za-z0-9 ._\-:/()#,@[\]+=&;{}!$*]{1,255}$/.test(description)) {
    throw new Error(
      `egress "${name}" description (${description}) must have 1 to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*`,
    );
  }
}
