import { TerraformResource } from "cdktf";
import { Construct } from "constructs";
import { PrivateLink } from "../private-link/private-link";
import { EbsKeyGrant } from "../worker-access/ebs-key-grant";
import type { WorkerFeature } from "../worker-access/worker-actions";
import { workerFeatures } from "../worker-access/worker-policy";
import { WorkerSecurityGroup } from "../worker-access/worker-security-group";
import { poolPrefix } from "../worker-observability/metrics";
import { type LogKind, logGroupName, WorkerLogs } from "../worker-observability/worker-logs";
import { releaseBuckets } from "./agent-release";
import { compact } from "./compact";
import type { FleetContext } from "./fleet-context";
import { egressProps } from "./fleet-egress";
import type { FleetConfig } from "./fleet-keys";
import { type FleetNetwork, fleetNetwork } from "./fleet-network";
import { poolPermissions } from "./pool-permissions";
import { unsafeFlags } from "./unsafe-options";
import { WorkerPool } from "./worker-pool";

export interface WorkerFleetProps {
  /** Name of the deployment, the middle of every name in AWS. */
  readonly deployment: string;
  /** Region that the fleet is in. */
  readonly region: string;
  readonly settings: FleetConfig;
  /**
   * Tags of everything in the deployment. They are written to instances here, since a provider's default tags do not reach
   * what an Auto Scaling group launches.
   * @default - none
   */
  readonly tags?: Readonly<Record<string, string>>;
}

/** What booting takes beyond the permissions of the workers' role: packages of Amazon Linux, which need none. */
const BOOT_FEATURES: readonly WorkerFeature[] = ["os-packages"];

/**
 * A fleet of worker pools: where they run, what they may reach, where they log, and the pools themselves.
 *
 * @throws Error naming the field where the settings contradict each other.
 */
export class WorkerFleet extends Construct {
  public readonly network: FleetNetwork;
  public readonly securityGroup: WorkerSecurityGroup;
  public readonly logs: WorkerLogs;
  public readonly pools: ReadonlyMap<string, WorkerPool>;
  /** Protections that the settings give up. */
  public readonly unsafeFlags: readonly string[];

  public constructor(
    scope: Construct,
    id: string,
    private readonly props: WorkerFleetProps,
  ) {
    super(scope, id);
    const { settings, tags = {} } = props;
    const { encryption, ssh, unsafe } = settings;

    this.network = fleetNetwork(this, {
      name: this.name,
      settings: settings.network,
      iam: settings.iam,
      ...compact({ logKeyArn: encryption.log_kms_key_arn }),
      internetAccess: settings.control_plane?.private_link === undefined ? "nat" : "none",
      tags,
    });
    this.logs = this.workerLogs();
    this.securityGroup = new WorkerSecurityGroup(this, "security_group", {
      name: this.name,
      vpcId: this.network.vpcId,
      ...egressProps(settings.egress),
      ...compact({ privateLink: this.privateLink(), ssh: ssh && { cidr: ssh.cidr } }),
      tags,
    });
    if (encryption.volume_kms_key_arn !== undefined) {
      new EbsKeyGrant(this, "volume_key_grant", { name: this.name, kmsKeyArn: encryption.volume_kms_key_arn });
    }
    const context = this.context();
    const pools = new Construct(this, "pools");
    this.pools = new Map(
      Object.entries(settings.pools).map(([name, pool]) => [
        name,
        new WorkerPool(pools, name, { fleet: context, name, settings: pool }),
      ]),
    );
    this.unsafeFlags = [
      ...unsafeFlags({
        imdsv1: unsafe.imdsv1,
        imdsHopLimit: unsafe.imds_hop_limit,
        unencryptedRootVolume: unsafe.unencrypted_root_volume,
      }),
      ...(ssh === undefined ? [] : [`ssh_key=${ssh.key_name}`, `ssh_from=${ssh.cidr}`]),
    ];
  }

  private get name(): string {
    return `${this.props.settings.product}-${this.props.deployment}`;
  }

  private workerLogs(): WorkerLogs {
    const { product, logs, encryption } = this.props.settings;
    return new WorkerLogs(this, "logs", {
      product,
      deployment: this.props.deployment,
      retentionDays: logs.retention_days,
      logClass: logs.infrequent_access ? "INFREQUENT_ACCESS" : "STANDARD",
      ...compact({ kmsKeyArn: encryption.log_kms_key_arn }),
    });
  }

  private privateLink(): PrivateLink | undefined {
    const { settings, region, tags = {} } = this.props;
    const link = settings.control_plane?.private_link;
    if (link === undefined) {
      return undefined;
    }
    return new PrivateLink(this, "private_link", {
      name: this.name,
      region,
      ...this.network,
      controlPlaneServiceName: link.service_name,
      controlPlanePrivateDns: link.private_dns,
      features: this.features(),
      existingEndpoints: (settings.network.existing_endpoints ?? []).map(({ service, security_group_id }) => ({
        service,
        ...compact({ securityGroupId: security_group_id }),
      })),
      releaseBuckets: releaseBuckets(settings),
      tags,
    });
  }

  /** What any of the pools does. */
  private features(): WorkerFeature[] {
    const { deployment, settings } = this.props;
    const permissions = Object.entries(settings.pools).map(([pool, poolSettings]) =>
      poolPermissions(
        settings,
        this.logGroups,
        poolPrefix({ product: settings.product, deployment, pool }),
        poolSettings,
      ),
    );
    return [...new Set([...BOOT_FEATURES, ...permissions.flatMap(workerFeatures)])];
  }

  /** Written out and not read from the groups: user data is rendered before Terraform runs. */
  private get logGroups(): Readonly<Record<LogKind, string>> {
    const { deployment, settings } = this.props;
    const name = (kind: LogKind) => logGroupName({ product: settings.product, deployment }, kind);
    return { agent: name("agent"), jobs: name("jobs"), system: name("system") };
  }

  private context(): FleetContext {
    const { deployment, region, settings, tags = {} } = this.props;
    return {
      deployment,
      region,
      settings,
      subnetIds: this.network.subnetIds,
      securityGroupId: this.securityGroup.securityGroupId,
      logGroups: this.logGroups,
      bootsAfter: this.node.findAll().filter(TerraformResource.isTerraformResource),
      tags,
    };
  }
}
