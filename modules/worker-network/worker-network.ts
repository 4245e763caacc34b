import { DefaultSecurityGroup } from "@cdktf/provider-aws/lib/default-security-group";
import { RouteTable } from "@cdktf/provider-aws/lib/route-table";
import { RouteTableAssociation } from "@cdktf/provider-aws/lib/route-table-association";
import { Subnet } from "@cdktf/provider-aws/lib/subnet";
import { Vpc } from "@cdktf/provider-aws/lib/vpc";
import { Fn } from "cdktf";
import { Construct } from "constructs";
import { type FlowLogSettings, FlowLogs } from "./flow-logs";
import { NatEgress } from "./nat-egress";
import { checkVpcCidr, SLOT_PREFIX_BITS, type ZoneSlot, zoneSlots } from "./zone-slots";

export interface WorkerNetworkProps {
  /** Name tag of the VPC, prefix of everything in it. */
  readonly name: string;
  /** IPv4 block of the VPC, /16 to /24. May be a token. */
  readonly cidrBlock: string;
  /** Zones with a subnet each, such as eu-west-1a. Concrete. */
  readonly availabilityZones: readonly string[];
  /** How workers reach the internet: through NAT, or not at all (no gateway, no default route). */
  readonly internetAccess: "nat" | "none";
  /**
   * NAT gateways: one for all zones, in the first zone of the list (cheaper; that zone's failure cuts all off), or one in
   * each. @default single
   */
  readonly natGateways?: "single" | "per-zone";
  /** Record the VPC's connections. @default - not recorded */
  readonly flowLogs?: FlowLogSettings;
  /** @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

/**
 * A small VPC for workers that only dial out: one private subnet and route table per zone, the default security group
 * emptied, DNS on (PrivateLink's private names need it).
 *
 * @throws Error naming the field for a block outside /16 to /24, zones that cannot be placed, `natGateways` without NAT.
 */
export class WorkerNetwork extends Construct {
  public readonly vpcId: string;
  public readonly vpcCidrBlock: string;
  /** Private subnets in the order of `availabilityZones`; known once their route tables are associated. */
  public readonly subnetIds: readonly string[];
  /** Route tables of the private subnets, in the same order. */
  public readonly routeTableIds: readonly string[];
  /** Public addresses from which workers reach the internet, for others' allow-lists; empty without NAT. */
  public readonly natAddresses: readonly string[];

  public constructor(scope: Construct, id: string, props: WorkerNetworkProps) {
    super(scope, id);
    const { name, cidrBlock, internetAccess, natGateways } = props;
    checkVpcCidr(cidrBlock);
    if (internetAccess === "none" && natGateways !== undefined) {
      throw new Error(`natGateways (${natGateways}) has no meaning with internetAccess (none): drop one`);
    }
    const slots = zoneSlots(props.availabilityZones);
    const tags = { ...props.tags };

    const vpc = new Vpc(this, "vpc", {
      cidrBlock,
      enableDnsSupport: true,
      enableDnsHostnames: true,
      tags: { ...tags, Name: name },
    });
    new DefaultSecurityGroup(this, "default_security_group", {
      vpcId: vpc.id,
      tags: { ...tags, Name: `${name}-default-closed` },
    });
    const zones = slots.map((slot) => this.privateSubnet(vpc, slot, name, tags));
    const gatewayZones = natGateways === "per-zone" ? props.availabilityZones : props.availabilityZones.slice(0, 1);
    const nat =
      internetAccess === "nat" &&
      new NatEgress(this, "nat", { name, vpcId: vpc.id, vpcCidrBlock: vpc.cidrBlock, gatewayZones, zones, tags });
    if (props.flowLogs) new FlowLogs(this, "flow_logs", { ...props.flowLogs, name, vpcId: vpc.id, tags });

    this.vpcId = vpc.id;
    this.vpcCidrBlock = vpc.cidrBlock;
    this.subnetIds = zones.map(({ subnetId }) => subnetId);
    this.routeTableIds = zones.map(({ routeTableId }) => routeTableId);
    this.natAddresses = nat ? nat.addresses : [];
  }

  private privateSubnet(vpc: Vpc, slot: ZoneSlot, network: string, tags: Readonly<Record<string, string>>) {
    const name = `${network}-private-${slot.letter}`;
    const subnet = new Subnet(this, `private_${slot.letter}`, {
      vpcId: vpc.id,
      availabilityZone: slot.zone,
      cidrBlock: Fn.cidrsubnet(vpc.cidrBlock, SLOT_PREFIX_BITS, slot.privateSlot),
      mapPublicIpOnLaunch: false,
      tags: { ...tags, Name: name },
    });
    const table = new RouteTable(this, `private_routes_${slot.letter}`, {
      vpcId: vpc.id,
      tags: { ...tags, Name: name },
    });
    const association = new RouteTableAssociation(this, `private_association_${slot.letter}`, {
      subnetId: subnet.id,
      routeTableId: table.id,
    });
    return { slot, subnetId: association.subnetId, routeTableId: table.id };
  }
}
