import { VpcSecurityGroupEgressRule } from "@cdktf/provider-aws/lib/vpc-security-group-egress-rule";
import { Token } from "cdktf";
import type { Construct } from "constructs";
import { parseCidr } from "../worker-network/cidr";

/** Where traffic may go; at least one of the lists has an entry. The lists are concrete, their strings may be tokens. */
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

interface Destination {
  /** Tells this destination from the rule's others, whatever their order. */
  readonly key: string;
  readonly attributes: {
    readonly cidrIpv4?: string;
    readonly cidrIpv6?: string;
    readonly prefixListId?: string;
    readonly referencedSecurityGroupId?: string;
  };
}

/**
 * Writes a rule as one Terraform resource per destination, whose address depends on the rule's name and the destination and
 * not on the order of lists. (A destination known only to Terraform has no text to go by: it is counted.)
 *
 * @throws Error naming rule and field for a bad port, CIDR block, description or an empty destination.
 */
export function addEgressRule(scope: Construct, securityGroupId: string, rule: EgressRule): void {
  const [fromPort, toPort] = checkedPorts(rule);
  checkDescription(rule);
  for (const { key, attributes } of destinations(rule)) {
    new VpcSecurityGroupEgressRule(scope, `egress_${rule.name}_${key}`, {
      securityGroupId,
      description: rule.description,
      ipProtocol: "tcp",
      fromPort,
      toPort,
      ...attributes,
    });
  }
}

/** Whether a rule reaches the whole internet. */
export function opensInternet({ to }: EgressRule): boolean {
  return (to.cidrs ?? []).some((cidr) => !Token.isUnresolved(cidr) && /\/0+$/.test(cidr));
}

function destinations(rule: EgressRule): Destination[] {
  const { cidrs = [], prefixListIds = [], securityGroupIds = [] } = rule.to;
  const found = [
    ...cidrs.map((cidr, i) => ({ key: keyOf(cidr, "cidr", i), attributes: cidrAttributes(rule, cidr) })),
    ...prefixListIds.map((id, i) => ({ key: keyOf(id, "prefix_list", i), attributes: { prefixListId: id } })),
    ...securityGroupIds.map((id, i) => ({
      key: keyOf(id, "security_group", i),
      attributes: { referencedSecurityGroupId: id },
    })),
  ];
  if (found.length === 0)
    throw new Error(`egress "${rule.name}" goes nowhere: give cidrs, prefixListIds or securityGroupIds`);
  const repeated = found.find(({ key }, i) => found.findIndex((other) => other.key === key) !== i);
  if (repeated) throw new Error(`egress "${rule.name}" names ${repeated.key} twice`);
  return found;
}

function keyOf(value: string, kind: string, index: number): string {
  return Token.isUnresolved(value) ? `${kind}_${index}` : value.replace(/[^A-Za-z0-9-]/g, "_");
}

function cidrAttributes(rule: EgressRule, cidr: string): Destination["attributes"] {
  if (Token.isUnresolved(cidr)) return { cidrIpv4: cidr };
  const { family } = parseCidr(`egress "${rule.name}" cidr`, cidr);
  return family === 4 ? { cidrIpv4: cidr } : { cidrIpv6: cidr };
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
