import { z } from "zod";
import { variableBoolean, variableList } from "../publish/expressions";
import { ModuleStack } from "../publish/module-stack";
import type { PublishedModule } from "../publish/published-module";
import { declareOutput, declareVariables } from "../publish/variables";
import type { WorkerFeature } from "../worker-access/worker-actions";
import { PrivateLink } from "./private-link";

const inputs = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/)
    .describe("Name tag of the endpoints and prefix of their security group."),
  vpc_id: z.string().startsWith("vpc-").describe("VPC of the workers."),
  subnet_ids: z.array(z.string()).min(1).describe("Subnets that get an address of each endpoint: one per zone."),
  route_table_ids: z.array(z.string()).min(1).describe("Route tables of the workers' subnets, for the S3 gateway."),
  control_plane_service_name: z
    .string()
    .regex(/^com\.amazonaws\.vpce\.[a-z0-9-]+\.vpce-svc-[0-9a-f]+$/)
    .describe("The control plane's endpoint service."),
  control_plane_private_dns: z
    .boolean()
    .default(true)
    .describe("Resolve the control plane's public name to its endpoint; its owner has to have verified the domain."),
  release_bucket: z
    .string()
    .min(3)
    .max(63)
    .describe("Bucket of this region that holds the releases: an S3 gateway reaches no other region."),
});

/** What a worker does with everything at its default. */
const FEATURES: readonly WorkerFeature[] = [
  "releases",
  "os-packages",
  "session-manager",
  "lifecycle",
  "logs",
  "metrics",
  "token-in-secrets-manager",
  "caller-identity",
];

const EXAMPLE = `terraform {
  required_version = ">= 1.7"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}

provider "aws" {
  region = "us-west-2"
}

resource "aws_vpc" "workers" {
  cidr_block           = "10.40.0.0/20"
  enable_dns_support   = true
  enable_dns_hostnames = true
}

resource "aws_subnet" "workers" {
  for_each = { us-west-2a = 0, us-west-2b = 1 }

  vpc_id            = aws_vpc.workers.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(aws_vpc.workers.cidr_block, 4, each.value)
}

resource "aws_route_table" "workers" {
  vpc_id = aws_vpc.workers.id
}

module "private_link" {
  source = "../.."

  name                       = "ez-cdc"
  vpc_id                     = aws_vpc.workers.id
  subnet_ids                 = [for subnet in aws_subnet.workers : subnet.id]
  route_table_ids            = [aws_route_table.workers.id]
  control_plane_service_name = "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0"
  release_bucket             = "acme-releases-us-west-2"
}

output "security_group_id" {
  value = module.private_link.security_group_id
}
`;

/** The endpoints of a fleet without internet, for a VPC whose owner is not the fleet's. */
export const PRIVATE_LINK_MODULE: PublishedModule = {
  name: "private-link",
  summary:
    "The doors of a worker fleet without internet: a PrivateLink endpoint to the control plane, an endpoint for every AWS " +
    "service that a worker calls, and the S3 gateway, each with a policy that lets through what workers do and no more.",
  root: (scope, id) => {
    const stack = new ModuleStack(scope, id, {
      addresses: {
        "aws_environment/region": "current",
        "aws_environment/partition": "current",
        "aws_environment/caller": "current",
      },
    });
    const variables = declareVariables(stack, inputs);
    const link = new PrivateLink(stack, "Default", {
      name: variables.name.stringValue,
      vpcId: variables.vpc_id.stringValue,
      subnetIds: variableList(variables.subnet_ids),
      routeTableIds: variableList(variables.route_table_ids),
      controlPlaneServiceName: variables.control_plane_service_name.stringValue,
      controlPlanePrivateDns: variableBoolean(variables.control_plane_private_dns),
      features: FEATURES,
      releaseBuckets: [{ name: variables.release_bucket.stringValue }],
    });
    declareOutput(stack, "security_group_id", {
      description: "Security group of the endpoints; let the workers' groups send 443 to it.",
      value: link.endpointSecurityGroupId,
    });
    declareOutput(stack, "endpoint_ids", {
      description: "Endpoints by service: `control-plane`, `s3`, `logs`, …",
      value: link.endpointIds,
    });
    return stack;
  },
  examples: [{ name: "own-vpc", mainTf: EXAMPLE }],
};
