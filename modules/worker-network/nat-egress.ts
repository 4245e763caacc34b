import { Eip } from "@cdktf/provider-aws/lib/eip";
import { InternetGateway } from "@cdktf/provider-aws/lib/internet-gateway";
import { NatGateway } from "@cdktf/provider-aws/lib/nat-gateway";
import { Route } from "@cdktf/provider-aws/lib/route";
import { RouteTable } from "@cdktf/provider-aws/lib/route-table";
import { RouteTableAssociation } from "@cdktf/provider-aws/lib/route-table-association";
import { Subnet } from "@cdktf/provider-aws/lib/subnet";
import { Fn } from "cdktf";
import { Construct } from "constructs";
import { SLOT_PREFIX_BITS, type ZoneSlot } from "./zone-slots";

const ANYWHERE = "0.0.0.0/0";

export interface NatEgressProps {
  readonly name: string;
  readonly vpcId: string;
  readonly vpcCidrBlock: string;
  /** Zones that hold a gateway: all of them, or one that serves the others too. */
  readonly gatewayZones: readonly string[];
  /** The private side. */
  readonly zones: readonly { readonly slot: ZoneSlot; readonly routeTableId: string }[];
  readonly tags: Readonly<Record<string, string>>;
}

interface Gateway {
  readonly zone: string;
  readonly id: string;
  readonly address: string;
}

/** The way out of private subnets: an internet gateway, a public subnet with NAT per gateway zone, default routes. */
export class NatEgress extends Construct {
  public readonly addresses: readonly string[];

  public constructor(scope: Construct, id: string, props: NatEgressProps) {
    super(scope, id);
    const publicRoutes = this.publicRoutes(props);
    const gateways = props.zones
      .filter(({ slot }) => props.gatewayZones.includes(slot.zone))
      .map(({ slot }) => this.gateway(props, slot, publicRoutes));
    for (const { slot, routeTableId } of props.zones) {
      const gateway = gateways.find(({ zone }) => zone === slot.zone) ?? gateways[0];
      if (!gateway)
        throw new Error(`gatewayZones (${props.gatewayZones.join(", ")}) are not among the network's zones`);
      new Route(this, `private_default_${slot.letter}`, {
        routeTableId,
        destinationCidrBlock: ANYWHERE,
        natGatewayId: gateway.id,
      });
    }
    this.addresses = gateways.map(({ address }) => address);
  }

  private publicRoutes({ name, vpcId, tags }: NatEgressProps): RouteTable {
    const internet = new InternetGateway(this, "internet_gateway", { vpcId, tags: { ...tags, Name: name } });
    const routes = new RouteTable(this, "public_routes", { vpcId, tags: { ...tags, Name: `${name}-public` } });
    new Route(this, "public_default", {
      routeTableId: routes.id,
      destinationCidrBlock: ANYWHERE,
      gatewayId: internet.id,
    });
    return routes;
  }

  private gateway(props: NatEgressProps, { zone, letter, publicSlot }: ZoneSlot, publicRoutes: RouteTable): Gateway {
    const tags = { ...props.tags, Name: `${props.name}-public-${letter}` };
    const subnet = new Subnet(this, `public_${letter}`, {
      vpcId: props.vpcId,
      availabilityZone: zone,
      cidrBlock: Fn.cidrsubnet(props.vpcCidrBlock, SLOT_PREFIX_BITS, publicSlot),
      mapPublicIpOnLaunch: false,
      tags,
    });
    const association = new RouteTableAssociation(this, `public_association_${letter}`, {
      subnetId: subnet.id,
      routeTableId: publicRoutes.id,
    });
    const address = new Eip(this, `nat_address_${letter}`, { domain: "vpc", tags });
    const nat = new NatGateway(this, `nat_gateway_${letter}`, {
      subnetId: association.subnetId,
      allocationId: address.id,
      tags,
      dependsOn: [this.node.findChild("public_default") as Route],
    });
    return { zone, id: nat.id, address: address.publicIp };
  }
}
