import { DataAwsPrefixList } from "@cdktf/provider-aws/lib/data-aws-prefix-list";
import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { VpcEndpoint } from "@cdktf/provider-aws/lib/vpc-endpoint";
import { Token } from "cdktf";
import { Construct } from "constructs";
import { AwsEnvironment } from "../iam/aws-environment";
import { policyDocument } from "../iam/policy-document";
import type { EgressRule } from "../worker-access/egress-rule";
import type { WorkerFeature } from "../worker-access/worker-actions";
import type { PrivateEgress } from "../worker-access/worker-security-group";
import { type AwsService, endpointActions } from "./endpoint-services";
import { checkReleaseRegions, type ReleaseBucket, s3Statements } from "./s3-access";

/** An endpoint that the VPC already has: a second one with private DNS would be refused. */
export interface ExistingEndpoint {
  readonly service: AwsService | "control-plane";
  /**
   * Security group of an interface endpoint; it has to admit 443 from the workers.
   * @default - none: the S3 gateway has no security group
   */
  readonly securityGroupId?: string;
}

export interface PrivateLinkProps {
  /** Name tag of the endpoints, prefix of their security group. */
  readonly name: string;
  readonly vpcId: string;
  /** Subnets that get an address of each endpoint, one per zone. Concrete list, values may be tokens. */
  readonly subnetIds: readonly string[];
  /** Route tables of the workers' subnets: the S3 gateway is a route. Concrete list, values may be tokens. */
  readonly routeTableIds: readonly string[];
  /** The control plane's endpoint service, `com.amazonaws.vpce.<region>.vpce-svc-…`. */
  readonly controlPlaneServiceName: string;
  /** Resolve the control plane's public name to the endpoint; its owner has to have verified the domain. @default true */
  readonly controlPlanePrivateDns?: boolean;
  /** What the workers do, which decides the endpoints; `workerFeatures` tells it of their permissions. */
  readonly features: readonly WorkerFeature[];
  /** Buckets of this region that hold the releases. @default - none */
  readonly releaseBuckets?: readonly ReleaseBucket[];
  /** Region of the fleet. @default - the provider's, known to Terraform alone: bucket regions are then not compared */
  readonly region?: string;
  /** Endpoints that the VPC has, to be used and not created. @default - none */
  readonly existingEndpoints?: readonly ExistingEndpoint[];
  /** @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

/**
 * The doors of a fleet without internet: the control plane's endpoint, and one for every AWS service that the workers' enabled
 * features call. One security group admits HTTPS from the workers that are given this as their `privateLink`.
 *
 * Private DNS turns a service's public name towards the endpoint for the whole VPC, so in a VPC with other tenants the endpoints
 * are better created by its owner and declared in `existingEndpoints`.
 *
 * @throws Error for a service name of another form, a release bucket of another region, features that contradict
 *   `releaseBuckets`, no subnet, no route table for the S3 gateway, and existing endpoints that are repeated or lack their
 *   security group.
 */
export class PrivateLink extends Construct implements PrivateEgress {
  public readonly endpointSecurityGroupId: string;
  public readonly egressRules: readonly EgressRule[];
  /** Endpoints created here, by service. */
  public readonly endpointIds: Readonly<Partial<Record<AwsService | "control-plane", string>>>;

  private readonly aws: AwsEnvironment;
  private readonly region: string;

  public constructor(
    scope: Construct,
    id: string,
    private readonly props: PrivateLinkProps,
  ) {
    super(scope, id);
    checkProps(props);
    this.aws = AwsEnvironment.of(this);
    this.region = props.region ?? this.aws.region;
    const group = new SecurityGroup(this, "endpoints", {
      namePrefix: `${props.name}-endpoints-`,
      description: "Endpoints: HTTPS from workers",
      vpcId: props.vpcId,
      tags: { ...props.tags, Name: `${props.name}-endpoints` },
      lifecycle: { createBeforeDestroy: true },
    });
    this.endpointSecurityGroupId = group.id;

    const needed = endpointActions(props.features);
    const endpoints: Partial<Record<AwsService | "control-plane", string>> = {};
    if (!this.existing("control-plane")) endpoints["control-plane"] = this.controlPlaneEndpoint().id;
    for (const [service, actions] of needed) {
      if (service !== "s3" && !this.existing(service)) endpoints[service] = this.awsEndpoint(service, actions).id;
    }
    const rules = [this.endpointRule([...needed.keys()])];
    if (needed.has("s3")) {
      const gateway = this.existing("s3") ? undefined : this.s3Gateway();
      if (gateway) endpoints.s3 = gateway.id;
      rules.push(s3Rule(gateway?.prefixListId ?? this.s3PrefixListId()));
    }
    this.endpointIds = endpoints;
    this.egressRules = rules;
  }

  private existing(service: AwsService | "control-plane"): ExistingEndpoint | undefined {
    return this.props.existingEndpoints?.find((endpoint) => endpoint.service === service);
  }

  private controlPlaneEndpoint(): VpcEndpoint {
    const { controlPlaneServiceName: serviceName, controlPlanePrivateDns = true } = this.props;
    const serviceRegion = VPCE_SERVICE.exec(serviceName)?.[1];
    const crossRegion = serviceRegion && !Token.isUnresolved(this.region) && serviceRegion !== this.region;
    return new VpcEndpoint(this, "control_plane", {
      ...this.interfaceEndpoint("control-plane"),
      serviceName,
      ...(crossRegion && { serviceRegion }),
      privateDnsEnabled: controlPlanePrivateDns,
    });
  }

  /** Lets through what workers do, and only with credentials of this account: a stolen worker cannot carry data to another. */
  private awsEndpoint(service: AwsService, actions: readonly string[]): VpcEndpoint {
    return new VpcEndpoint(this, service, {
      ...this.interfaceEndpoint(service),
      serviceName: this.serviceName(service),
      privateDnsEnabled: true,
      policy: policyDocument([
        {
          sid: "WorkersOfThisAccount",
          principals: "*",
          actions,
          resources: ["*"],
          conditions: { StringEquals: { "aws:PrincipalAccount": this.aws.accountId } },
        },
      ]),
    });
  }

  private interfaceEndpoint(service: string) {
    return {
      vpcId: this.props.vpcId,
      vpcEndpointType: "Interface",
      subnetIds: [...this.props.subnetIds],
      securityGroupIds: [this.endpointSecurityGroupId],
      tags: { ...this.props.tags, Name: `${this.props.name}-${service}` },
    };
  }

  private s3Gateway(): VpcEndpoint {
    const { features, releaseBuckets = [], routeTableIds, vpcId, name, tags } = this.props;
    return new VpcEndpoint(this, "s3", {
      vpcId,
      vpcEndpointType: "Gateway",
      serviceName: this.serviceName("s3"),
      routeTableIds: [...routeTableIds],
      policy: policyDocument(s3Statements(features, releaseBuckets, this.region, this.aws)),
      tags: { ...tags, Name: `${name}-s3` },
    });
  }

  private s3PrefixListId(): string {
    return new DataAwsPrefixList(this, "s3_prefix_list", { name: this.serviceName("s3") }).id;
  }

  private serviceName(service: AwsService): string {
    return `com.amazonaws.${this.region}.${service}`;
  }

  private endpointRule(needed: readonly AwsService[]): EgressRule {
    const brought = (["control-plane", ...needed] as const).flatMap(
      (service) => this.existing(service)?.securityGroupId ?? [],
    );
    return {
      name: "endpoints",
      description: "HTTPS to the endpoints of the control plane and AWS",
      port: 443,
      to: { securityGroupIds: [this.endpointSecurityGroupId, ...new Set(brought)] },
    };
  }
}

const VPCE_SERVICE = /^com\.amazonaws\.vpce\.([a-z0-9-]+)\.vpce-svc-[0-9a-f]+$/;

function s3Rule(prefixListId: string): EgressRule {
  return {
    name: "s3",
    description: "HTTPS to S3 through its gateway",
    port: 443,
    to: { prefixListIds: [prefixListId] },
  };
}

function checkProps(props: PrivateLinkProps): void {
  const { controlPlaneServiceName, features, releaseBuckets = [], region, existingEndpoints = [] } = props;
  if (props.subnetIds.length === 0)
    throw new Error("subnetIds is empty: endpoints need an address in a subnet per zone");
  if (!Token.isUnresolved(controlPlaneServiceName) && !VPCE_SERVICE.test(controlPlaneServiceName)) {
    throw new Error(
      `controlPlaneServiceName (${controlPlaneServiceName}) is not of the form com.amazonaws.vpce.<region>.vpce-svc-<id>`,
    );
  }
  if (features.includes("releases") && releaseBuckets.length === 0) {
    throw new Error("features has releases but releaseBuckets is empty: the S3 gateway's policy would admit none");
  }
  const needsGateway =
    endpointActions(features).has("s3") && !existingEndpoints.some(({ service }) => service === "s3");
  if (needsGateway && props.routeTableIds.length === 0) {
    throw new Error("routeTableIds is empty: without the workers' route tables nothing reaches S3 through its gateway");
  }
  if (region !== undefined) checkReleaseRegions(releaseBuckets, region);
  existingEndpoints.forEach(({ service, securityGroupId }, i) => {
    if (existingEndpoints.findIndex((other) => other.service === service) !== i) {
      throw new Error(`existingEndpoints names ${service} twice`);
    }
    if (service !== "s3" && securityGroupId === undefined) {
      throw new Error(`existingEndpoints: ${service} needs its securityGroupId, so that workers may reach it`);
    }
  });
}
