import type { Construct } from "constructs";
import { WorkerNetwork } from "../worker-network/worker-network";
import { compact } from "./compact";
import type { FleetConfig } from "./fleet-keys";

/** Where a fleet runs; strings and lists may be tokens. */
export interface FleetNetwork {
  readonly vpcId: string;
  readonly subnetIds: readonly string[];
  /** Empty where they are not known: only private endpoints need them. */
  readonly routeTableIds: readonly string[];
}

export interface FleetNetworkProps {
  /** Name of a network that is made. */
  readonly name: string;
  readonly settings: FleetConfig["network"];
  /** Where the role that delivers flow logs goes, and what bounds it. */
  readonly iam: Pick<FleetConfig["iam"], "path" | "permissions_boundary_arn">;
  /**
   * Key that encrypts flow logs.
   * @default - CloudWatch's own key
   */
  readonly logKeyArn?: string;
  /** Whether workers have a way to the internet in a network that is made. */
  readonly internetAccess: "nat" | "none";
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * The network that the settings name, or the small one that they ask for.
 *
 * @throws Error when they do neither.
 */
export function fleetNetwork(
  scope: Construct,
  { name, settings, iam, logKeyArn, internetAccess, tags }: FleetNetworkProps,
): FleetNetwork {
  const { create, vpc_id, subnet_ids, route_table_ids } = settings;
  if (create !== undefined) {
    return new WorkerNetwork(scope, "network", {
      name,
      cidrBlock: create.cidr_block,
      availabilityZones: create.availability_zones,
      internetAccess,
      ...compact({
        natGateways: create.nat_gateways,
        flowLogs: create.flow_logs && {
          traffic: create.flow_logs.traffic,
          retentionDays: create.flow_logs.retention_days,
          rolePath: iam.path,
          ...compact({ kmsKeyArn: logKeyArn, permissionsBoundaryArn: iam.permissions_boundary_arn }),
        },
      }),
      tags,
    });
  }
  if (vpc_id === undefined || subnet_ids === undefined) {
    throw new Error("network should have vpc_id and subnet_ids of a VPC that exists, or create");
  }
  return { vpcId: vpc_id, subnetIds: subnet_ids, routeTableIds: route_table_ids ?? [] };
}
