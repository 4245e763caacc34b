import {
  CreateRouteTableCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeAvailabilityZonesCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import type { NeededSubnet } from "./placeholders";

/** What a deployment names and expects to be there. */
export interface NeededNetwork {
  readonly cidrBlock: string;
  readonly subnets: readonly NeededSubnet[];
  readonly vpcIds: readonly string[];
  readonly securityGroupIds: readonly string[];
  readonly routeTableIds: readonly string[];
}

/** Makes in an emulated AWS what a deployment finds in its own. @returns by the id that the deployment names, the id that it has. */
export async function makeNetwork(
  needed: NeededNetwork,
  { url, region }: { readonly url: string; readonly region: string },
): Promise<ReadonlyMap<string, string>> {
  const credentials = { accessKeyId: "emulator", secretAccessKey: "emulator" };
  const ec2 = new EC2Client({ endpoint: url, region, credentials });
  const ids = new Map<string, string>();
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: needed.cidrBlock }));
  const VpcId = Vpc?.VpcId ?? "";
  for (const id of needed.vpcIds) ids.set(id, VpcId);

  const { AvailabilityZones = [] } = await ec2.send(new DescribeAvailabilityZonesCommand({}));
  const zones = AvailabilityZones.flatMap(({ ZoneName }) => ZoneName ?? []);
  for (const [index, { id, cidrBlock }] of needed.subnets.entries()) {
    const AvailabilityZone = zones[index % zones.length];
    const { Subnet } = await ec2.send(new CreateSubnetCommand({ VpcId, CidrBlock: cidrBlock, AvailabilityZone }));
    ids.set(id, Subnet?.SubnetId ?? "");
  }
  for (const id of needed.securityGroupIds) {
    const group = { GroupName: id.replace(/^sg-/, "named-"), Description: `Stands for ${id}`, VpcId };
    ids.set(id, (await ec2.send(new CreateSecurityGroupCommand(group))).GroupId ?? "");
  }
  for (const id of needed.routeTableIds) {
    const { RouteTable } = await ec2.send(new CreateRouteTableCommand({ VpcId }));
    ids.set(id, RouteTable?.RouteTableId ?? "");
  }
  return ids;
}
